"""All phones lose their sockets at once, and are back within some seconds, with their sessions."""

import asyncio
import re
import time
from collections import Counter

from tests.bench.crowd import Meter, keep_talking
from tests.bench.lab import Lab, Login
from tests.bench.line import Line
from tests.bench.pairs import CANDIDATE, Pair
from tests.bench.results import quantile

USERS = 10_000
CALLS = 200
BACK_S = 10.0
SETTLE_S = 1.0
HEARD_S = 10.0
CONNECTS_AT_ONCE = 64
_SESSION = re.compile(rb'"session":"([^"]+)"')
_SECRET = re.compile(rb'"secret":"([^"]+)"')
_SEQ = re.compile(rb'"seq":(\d+)')


class Phone:
    """A user's device, with what it needs to come back; `took_ms` is how long that lasted."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.line: Line | None = None
        self.resume = b""
        self.resumed = False
        self.took_ms = 0.0
        self.signals = 0
        self.ended = False

    async def connect(self, host: str, port: int) -> None:
        began_s = time.perf_counter()
        self.line = await Line.open(host, port)
        welcome = await self.line.hello(self.login, "bench", self.resume)
        self.took_ms = (time.perf_counter() - began_s) * 1_000
        self.resumed = b'"resumed":true' in welcome
        self.resume = resume_of(welcome)
        self.line.on_frame = self._take

    def _take(self, frame: bytes) -> None:
        if frame.startswith(b'{"type":"signal"'):
            self.signals += 1
        elif frame.startswith(b'{"type":"call_ended"'):
            self.ended = True


def resume_of(welcome: bytes) -> bytes:
    """The wish to go on with the session that this welcome has begun."""
    found = [each.findall(welcome)[0] for each in (_SESSION, _SECRET, _SEQ)]
    return b'{"session":"%b","secret":"%b","lastSeq":%b}' % tuple(found)


async def connect_all(phones: list[Phone], host: str, port: int) -> None:
    gate = asyncio.Semaphore(CONNECTS_AT_ONCE)

    async def one(phone: Phone) -> None:
        async with gate:
            await phone.connect(host, port)

    await asyncio.gather(*map(one, phones))


async def come_back(phones: list[Phone], host: str, port: int, within_s: float) -> Counter[str]:
    """Each at its moment, all moments evenly spread; what went wrong, by kind."""
    refused: Counter[str] = Counter()

    async def one(phone: Phone, after_s: float) -> None:
        await asyncio.sleep(after_s)
        try:
            await phone.connect(host, port)
        except (ConnectionError, TimeoutError) as error:
            refused[type(error).__name__] += 1

    step_s = within_s / len(phones)
    await asyncio.gather(*(one(phone, n * step_s) for n, phone in enumerate(phones)))
    return refused


async def _talk(talking: list[Phone], host: str, port: int) -> list[bytes]:
    """Every two phones in a call that stays; the calls' ids."""
    await connect_all(talking, host, port)
    pairs: list[Pair] = []
    for caller, callee in zip(talking[::2], talking[1::2], strict=True):
        assert caller.line is not None
        assert callee.line is not None
        pairs.append(Pair(caller.line, callee.line, callee.login))
    await keep_talking(pairs)
    return [pair.call for pair in pairs]


async def _relayed(talking: list[Phone], calls: list[bytes]) -> int:
    """In how many of the calls a signal of the caller's reaches the callee."""
    heard = [phone.signals for phone in talking[1::2]]
    for caller, call in zip(talking[::2], calls, strict=True):
        if caller.line is not None:
            caller.line.send(CANDIDATE % call)
    until_s = time.perf_counter() + HEARD_S
    while True:
        both = zip(heard, talking[1::2], strict=True)
        count = sum(phone.signals > before for before, phone in both)
        if count == len(calls) or time.perf_counter() > until_s:
            return count
        await asyncio.sleep(0.05)


async def bench_storm(lab: Lab) -> None:
    report, dsn, within_s = lab.report, await lab.dsn(), 1.0 if lab.quick else BACK_S
    users, calls = lab.pick(USERS, 100), lab.pick(CALLS, 10)
    logins = await lab.people(dsn, users - 2 * calls)
    async with lab.server(dsn) as server:
        idle = [Phone(login) for login in logins]
        await connect_all(idle, server.host, server.port)
        talking = [Phone(each) for pair in await lab.pairs(dsn, calls) for each in pair]
        ids = await _talk(talking, server.host, server.port)
        await asyncio.sleep(lab.seconds(SETTLE_S))
        # Callers and callees are among the others, not before or behind them.
        phones, every = list(idle), max(1, len(idle) // len(talking))
        for number, phone in enumerate(talking):
            phones.insert(number * (every + 1), phone)
        for phone in phones:
            assert phone.line is not None
            phone.line.close()
        meter = Meter(lab, server)
        refused = await come_back(phones, server.host, server.port, within_s)
        took_s, server_s = meter.seconds, meter.server_s
        database_s, own_s = meter.database_s, meter.own_s
        await asyncio.sleep(lab.seconds(SETTLE_S))
        alive = await _relayed(talking, ids)
    report.add("phones", len(phones), "sockets")
    report.add("sockets closed, all back within", within_s, "s")
    report.add("until all are welcomed", took_s, "s", f"≈ {within_s:.0f}")
    report.add("resumed", sum(phone.resumed for phone in phones), "sessions", str(len(phones)))
    report.add("not welcomed", refused.total(), "sockets", "0")
    times = [phone.took_ms for phone in phones]
    report.times("from connecting to the welcome", times)
    report.add("the slowest", quantile(times, 1.0), "ms")
    report.add("server CPU", server_s / len(phones) * 1e6, "µs/reconnect")
    report.add("PostgreSQL CPU", database_s / len(phones) * 1e6, "µs/reconnect")
    report.add("client CPU", own_s / len(phones) * 1e6, "µs/reconnect")
    report.add("live calls", calls, "calls")
    report.add("live calls that ended", sum(phone.ended for phone in talking), "legs", "0")
    report.add("live calls that pass signals on afterwards", alive, "calls", str(calls))
