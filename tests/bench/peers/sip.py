"""`--peers`: a call of six short messages, ours beside Kamailio's, where that is installed.

Kamailio relays INVITE, 180, 200, ACK, BYE and its 200 with the state of their transactions, once
without a record and once with a row in PostgreSQL for the answer and one for the end. Ours is the
shortest call that is paid for.
"""

import asyncio
import re
import sys

from tests.bench.calls import CONCURRENCY, check_books, open_pairs, run_calls
from tests.bench.children import finished, user_s
from tests.bench.crowd import Meter
from tests.bench.lab import Lab
from tests.bench.peers import sipp
from tests.bench.peers.brief import BriefPair
from tests.bench.peers.kamailio import (
    KEPT_MS,
    ROWS_A_CALL,
    kamailio,
    make_tables,
    missing,
    program,
    rows,
)
from tests.bench.report import Report

OURS = "our brief call"
PLAIN = "Kamailio"
ACCOUNTING = "Kamailio with accounting"
RATE = "calls per CPU-second"
RATE_BOTH = "the same, PostgreSQL's CPU included"
TARGET = "≥ 3"
# Kamailio lets go of its transactions some time after a call, which is its work too.
SETTLE_S = 1.5 * KEPT_MS / 1_000
VERSION_MAX_S = 20.0


async def bench_sip(lab: Lab) -> None:
    lacking = await missing(lab.directory)
    if lacking:
        print(f"  Kamailio is left out: {lacking}", file=sys.stderr, flush=True)
        return
    lab.report.versions |= await _versions()
    for name in (PLAIN, ACCOUNTING):
        await _theirs(lab, name)
    await _ours(lab)
    add_sip_ratios(lab.report)


def add_sip_ratios(report: Report) -> None:
    """For what the same run has measured."""
    for rate, what, target in ((RATE, "", TARGET), (RATE_BOTH, ", PostgreSQL's CPU included", "")):
        ours, theirs = (report.value("sip", f"{name}: {rate}") for name in (OURS, ACCOUNTING))
        if ours and theirs:
            ratio = ours / theirs
            report.add(f"{OURS} ÷ {ACCOUNTING}{what}", ratio, "× the rate", target)


async def _theirs(lab: Lab, name: str) -> None:
    """With accounting its rows are counted after: each call must have left them."""
    report, dsn = lab.report, await lab.dsn()
    await make_tables(dsn)
    used = dsn if name == ACCOUNTING else ""
    async with (
        kamailio(lab.directory, pin=lab.pin, dsn=used) as server,
        sipp.callee(lab.directory) as to,
    ):
        road, wanted = (lab.directory, to, server.port), lab.pick(4_000, 60)
        warm = await sipp.call(*road, calls=lab.pick(500, 20))
        await asyncio.sleep(SETTLE_S)
        began = _Began(lab, server.pids)
        called = await sipp.call(*road, calls=wanted)
        spent_s = began.meter.seconds
        await asyncio.sleep(SETTLE_S)
        _tell(report, name, called.done, spent_s, began)
    report.add(f"{name}: failed", wanted - called.done, "calls", "0")
    report.add(f"{name}: messages sent again", called.repeated, "", "0")
    if used:
        lost = ROWS_A_CALL * (warm.done + called.done) - await rows(dsn)
        report.add(f"{name}: rows missing", lost, "rows", "0")


async def _ours(lab: Lab) -> None:
    dsn = await lab.dsn()
    async with lab.server(dsn) as server:
        pairs = await open_pairs(lab, server, dsn, lab.pick(1_000, 40), BriefPair)
        await run_calls(pairs, lab.pick(500, 40), concurrency=CONCURRENCY)
        began = _Began(lab, [server.pid])
        tally = await run_calls(pairs, lab.pick(4_000, 60), concurrency=CONCURRENCY)
        _tell(lab.report, OURS, tally.done, began.meter.seconds, began)
    for code, number in tally.errors.items():
        lab.report.add(f"{OURS}: failed ({code})", number, "calls", "0")
    await check_books(lab, dsn)


class _Began:
    """What processes had used before they were measured."""

    def __init__(self, lab: Lab, pids: list[int]) -> None:
        self.meter = Meter(lab, *pids)
        self._pids = pids
        self._user_s = sum(map(user_s, pids))

    @property
    def user_s(self) -> float:
        return sum(map(user_s, self._pids)) - self._user_s


def _tell(report: Report, name: str, done: int, spent_s: float, began: _Began) -> None:
    count, database_s = max(1, done), began.meter.database_s
    server_s = max(began.meter.server_s, 0.01)
    report.add(f"{name}: calls", done / spent_s, "calls/s")
    report.add(f"{name}: {RATE}", done / server_s, "calls/CPU-s")
    report.add(f"{name}: server CPU", server_s / count * 1e6, "µs/call")
    report.add(f"{name}: of it outside the kernel", began.user_s / count * 1e6, "µs/call")
    if name != PLAIN:
        report.add(f"{name}: {RATE_BOTH}", done / (server_s + database_s), "calls/CPU-s")
        report.add(f"{name}: PostgreSQL CPU", database_s / count * 1e6, "µs/call")


async def _versions() -> dict[str, str]:
    """Of what is installed here."""
    found = {}
    for name in ("Kamailio", "SIPp"):
        _, said = await finished(program(name.lower()) or "", "-v", max_s=VERSION_MAX_S)
        number = re.search(r"\d+\.\d+(\.\d+)?", said)
        found[name] = number.group() if number else ""
    return found
