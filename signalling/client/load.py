"""Load without media: many pairs of sockets that run whole calls with prepared SDP and candidates.

It shares the machine with the server it measures, so it does as little as it can: one reader per
socket that answers at once, prepared frames, and no parsing of what is only passed on.
"""

import asyncio
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from random import Random
from typing import Any

import aiohttp
import msgspec

from signalling.client.envelope import PROTOCOL, socket_url
from signalling.client.load_report import LoadReport, judge, summarise
from signalling.client.wire import SUBPROTOCOL

CANDIDATES = 10
CALL_TIMEOUT_S = 30.0
CONNECTS_AT_ONCE = 50
PING_EVERY_S = 15.0
RETRIES_MAX = 5
SDP = (
    "v=0\\r\\no=- 1 1 IN IP4 127.0.0.1\\r\\ns=-\\r\\nt=0 0\\r\\n"
    + "a=x-padding:0123456789\\r\\n" * 40
)
CANDIDATE = (
    '{"type":"signal","call":"%s","data":{"kind":"candidates","gen":1,"candidates":[{"candidate":'
    '"candidate:1 1 udp 2130706431 192.0.2.%d 50000 typ host","sdpMid":"0","sdpMLineIndex":0,'
    '"sentNs":%d}]}}'
)
_SENT = '"sentNs":'


class Login(msgspec.Struct, frozen=True):
    """A user for the run: the id, and a token that outlives it."""

    user_id: str
    token: str


class Pair(msgspec.Struct, frozen=True):
    """A caller with money and a provider who is online."""

    caller: Login
    callee: Login


class Mix(msgspec.Struct, frozen=True):
    """How calls go, as weights: completed, rejected by the callee, cancelled by the caller."""

    complete: float = 1
    reject: float = 0
    cancel: float = 0


COMPLETE = Mix()


class _Seen(msgspec.Struct, gc=False):
    type: str
    call: str | None = None
    re: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_seen = msgspec.json.Decoder(_Seen).decode
_data = msgspec.json.Decoder(dict[str, Any]).decode


class _Books:
    """What all pairs write down."""

    def __init__(self) -> None:
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        self.errors: Counter[str] = Counter()
        self.sent = 0
        self.received = 0

    def note(self, phase: str, since_s: float) -> None:
        self.times[phase].append((time.perf_counter() - since_s) * 1_000)


class _End:
    """One socket. Its pair takes every frame but relayed candidates, whose way is measured here."""

    def __init__(self, books: _Books, name: str) -> None:
        self.books = books
        self.name = name
        self.socket: aiohttp.ClientWebSocketResponse | None = None
        self.pair: _Caller | None = None
        self._reader: asyncio.Task[None] | None = None

    async def connect(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        began_s = time.perf_counter()
        self.socket = await http.ws_connect(
            url, protocols=(SUBPROTOCOL,), timeout=aiohttp.ClientWSTimeout(ws_close=1)
        )
        hello = {
            "token": token,
            "device": {"id": self.name, "platform": "load"},
            "protocol": PROTOCOL,
        }
        await self.send(msgspec.json.encode({"type": "hello", "data": hello}).decode())
        first = await self.socket.receive(timeout=CALL_TIMEOUT_S)
        if first.type is not aiohttp.WSMsgType.TEXT or _seen(first.data).type != "welcome":
            raise ConnectionError(f"No welcome for {self.name}: {first.data!r} {first.extra!r}")
        self.books.note("connect", began_s)
        self._reader = asyncio.create_task(self._read(self.socket))

    async def send(self, frame: str) -> None:
        assert self.socket is not None
        self.books.sent += 1
        await self.socket.send_str(frame)

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        books = self.books
        async for message in socket:
            books.received += 1
            text: str = message.data
            if text.startswith('{"type":"signal"'):
                at = text.rfind(_SENT)
                if at > 0:
                    sent_ns = int(text[at + len(_SENT) : text.index("}", at)])
                    books.times["relay"].append((time.perf_counter_ns() - sent_ns) / 1e6)
                    continue
            assert self.pair is not None
            await self.pair.take(self, _seen(text))
        if self.pair is not None:
            self.pair.fail(f"closed_{socket.close_code}")

    async def close(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
        if self.socket is not None:
            await self.socket.close()


class _Caller:
    """A pair and its one call at a time, driven by what arrives."""

    def __init__(self, pair: Pair, books: _Books, number: int, talk_s: float) -> None:
        self.pair = pair
        self.books = books
        self.caller = _End(books, f"load-caller-{number}")
        self.callee = _End(books, f"load-callee-{number}")
        self.caller.pair = self.callee.pair = self
        self.done: asyncio.Future[str] | None = None
        self.began_s = 0.0
        self._talk_s = talk_s
        self._how = "complete"
        self._call = ""
        self._at: dict[str, float] = {}
        self._left: set[str] = set()
        # The server remembers a device's command ids across runs.
        self._run = secrets.token_hex(4)
        self._count = 0
        self._retries = 0

    async def start(self, how: str) -> str:
        """Run one call; returns `completed`, or what went wrong."""
        self.done = asyncio.get_running_loop().create_future()
        self._how, self._retries = how, 0
        self._left = {"ended caller", "ended callee"}
        if how == "complete":
            self._left |= {"tick caller", "tick callee", "ok end"}
        await self._request()
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await self.done
        except TimeoutError:
            return f"timeout_{'_'.join(sorted(self._left)).replace(' ', '_')}"

    def _id(self, what: str) -> str:
        return f"{what}{self._count}-{self._run}"

    def fail(self, code: str) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(code)

    async def _request(self) -> None:
        self._count += 1
        self._call = ""
        self.began_s = self._at["request"] = time.perf_counter()
        await self.caller.send(
            f'{{"type":"call_request","id":"{self._id("r")}",'
            f'"data":{{"toUserId":"{self.pair.callee.user_id}"}}}}'
        )

    async def take(self, end: _End, seen: _Seen) -> None:
        books, side = self.books, "caller" if end is self.caller else "callee"
        match seen.type:
            case "call_incoming" if side == "callee":
                books.note("ring", self._at["request"])
                self._call = seen.call or ""
                await self._answer_ring()
            case "call_ringing" if side == "caller":
                books.note("ringing", self._at["request"])
                if self._how == "cancel":
                    await self._end_call()
            case "call_accepted" if side == "caller":
                books.note("accept", self._at["accept"])
                await self._signals(self.caller, "offer")
            case "signal" if side == "callee":
                await self._offered(seen)
            case "signal" if side == "caller":
                await self._answered(seen)
            case "call_connected" if side == "caller":
                books.note("connected", self._at["media"])
            case "call_tick":
                if side == "caller" and "tick caller" in self._left:
                    books.note("tick", self._at["media"])
                await self._step(f"tick {side}")
            case "call_ended" | "call_rejected":
                if side == "caller" and self._how != "reject":
                    books.note("end", self._at["end"])
                await self._step(f"ended {side}")
            case "ok" if seen.re == self._id("r"):
                books.note("request", self._at["request"])
            case "ok" if seen.re == self._id("e"):
                await self._step("ok end")
            case "error":
                await self._refused(end, _data(seen.data))

    async def _answer_ring(self) -> None:
        await self.callee.send(f'{{"type":"call_ringing","call":"{self._call}"}}')
        if self._how == "reject":
            await self.callee.send(f'{{"type":"call_reject","call":"{self._call}"}}')
        elif self._how == "complete":
            self._at["accept"] = time.perf_counter()
            await self.callee.send(
                f'{{"type":"call_accept","call":"{self._call}","id":"{self._id("a")}"}}'
            )

    async def _signals(self, end: _End, kind: str) -> None:
        call = self._call
        head = f'{{"type":"signal","call":"{call}","data":{{"kind":'
        await end.send(f'{head}"{kind}","gen":1,"sdp":"{SDP}"}}}}')
        for number in range(CANDIDATES):
            await end.send(CANDIDATE % (call, number, time.perf_counter_ns()))
        await end.send(f'{head}"end","gen":1}}}}')

    async def _offered(self, seen: _Seen) -> None:
        """The callee answers the offer, and has media when the caller's candidates are through."""
        kind = _data(seen.data)["kind"]
        if kind == "offer":
            await self._signals(self.callee, "answer")
        elif kind == "end":
            await self._media(self.callee)

    async def _answered(self, seen: _Seen) -> None:
        if _data(seen.data)["kind"] == "end":
            await self._media(self.caller)

    async def _media(self, end: _End) -> None:
        self._at["media"] = time.perf_counter()
        await end.send(
            f'{{"type":"media_connected","call":"{self._call}","data":{{"gen":1,"ms":50}}}}'
        )

    async def _end_call(self) -> None:
        self._at["end"] = time.perf_counter()
        await self.caller.send(
            f'{{"type":"call_end","call":"{self._call}","id":"{self._id("e")}"}}'
        )

    async def _step(self, what: str) -> None:
        ticking = "tick" in "".join(self._left)
        self._left.discard(what)
        if ticking and "tick" not in "".join(self._left):
            if self._talk_s:
                await asyncio.sleep(self._talk_s)
            await self._end_call()
        if not self._left and self.done is not None and not self.done.done():
            self.books.note("call", self.began_s)
            self.done.set_result("completed")

    async def _refused(self, end: _End, error: dict[str, Any]) -> None:
        code = str(error.get("code"))
        self.books.errors[code] += 1
        if code == "rate_limited" and not self._call and self._retries < RETRIES_MAX:
            self._retries += 1
            await asyncio.sleep(int(error.get("retryAfterMs", 500)) / 1_000)
            await self._request()
            return
        self.fail(code)


async def run_load(
    url: str,
    pairs: Sequence[Pair],
    *,
    calls: int,
    concurrency: int = 0,
    rate: float = 0,
    talk_s: float = 0,
    mix: Mix = COMPLETE,
    thresholds: Sequence[str] = (),
    seed: int = 1,
) -> LoadReport:
    """Connect all `pairs` and run `calls` calls, each pair one at a time.

    At most `concurrency` calls are live at once (0: as many as there are pairs). `rate` starts so
    many per second, on time whatever the server does (0: as fast as calls end). `talk_s` is the
    talk after the first tick. Phases in ms: connect, request, ring, ringing, accept, relay (one
    candidate from socket to socket), connected, tick, end, call (the whole).

    Raises:
        ConnectionError: a pair got no welcome.
        ValueError: a threshold that is none, or no pairs.
    """
    judge(thresholds, {})
    if not pairs:
        raise ValueError("A load run needs at least one pair.")
    books, random = _Books(), Random(seed)
    runners = [_Caller(pair, books, n, talk_s) for n, pair in enumerate(pairs)]
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        began_s = time.perf_counter()
        await _connect(http, socket_url(url), runners)
        connected_s = time.perf_counter()
        cpu_s = time.process_time()
        pinger = asyncio.create_task(_ping(runners))
        results = await _run(runners, calls, concurrency or len(pairs), rate, mix, random)
        ended_s = time.perf_counter()
        cpu_s = time.process_time() - cpu_s
        pinger.cancel()
        await asyncio.gather(*(end.close() for r in runners for end in (r.caller, r.callee)))
    completed = results.pop("completed", 0)
    phases = {name: summarise(times) for name, times in books.times.items()}
    return LoadReport(
        pairs=len(pairs),
        calls=calls,
        completed=completed,
        failed=calls - completed,
        seconds=ended_s - connected_s,
        calls_per_s=completed / max(1e-9, ended_s - connected_s),
        frames_sent=books.sent,
        frames_received=books.received,
        client_cpu_s=cpu_s,
        connect_s=connected_s - began_s,
        errors=dict(books.errors + results),
        phases=phases,
        thresholds=judge(thresholds, phases),
    )


async def _connect(http: aiohttp.ClientSession, url: str, runners: Sequence[_Caller]) -> None:
    gate = asyncio.Semaphore(CONNECTS_AT_ONCE)

    async def one(runner: _Caller) -> None:
        async with gate:
            await runner.caller.connect(http, url, runner.pair.caller.token)
            await runner.callee.connect(http, url, runner.pair.callee.token)

    await asyncio.gather(*map(one, runners))


async def _run(
    runners: Sequence[_Caller], calls: int, concurrency: int, rate: float, mix: Mix, random: Random
) -> Counter[str]:
    free: asyncio.Queue[_Caller] = asyncio.Queue()
    for runner in runners:
        free.put_nowait(runner)
    gate = asyncio.Semaphore(concurrency)
    results: Counter[str] = Counter()
    kinds, weights = ("complete", "reject", "cancel"), (mix.complete, mix.reject, mix.cancel)

    async def one(runner: _Caller, how: str) -> None:
        result = await runner.start(how)
        results[result] += 1
        gate.release()
        free.put_nowait(runner)

    began_s = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for number in range(calls):
            if rate:
                wait_s = began_s + number / rate - time.perf_counter()
                if wait_s > 0:
                    await asyncio.sleep(wait_s)
            await gate.acquire()
            runner = await free.get()
            group.create_task(one(runner, random.choices(kinds, weights)[0]))
    return results


async def _ping(runners: Sequence[_Caller]) -> None:
    """Keep idle sockets alive; one task for all."""
    while True:
        await asyncio.sleep(PING_EVERY_S)
        for runner in runners:
            for end in (runner.caller, runner.callee):
                if end.socket is not None and not end.socket.closed:
                    await end.send('{"type":"ping","data":{"t":1}}')
