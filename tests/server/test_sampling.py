"""Samples of a node: what happened since the last one that was written, at common moments."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import pytest
from msgspec.structs import replace

from server import sampling
from server.metrics import Metrics
from server.sampling import EVERY_MS, Sampling, Tally, gauges_of
from signalling.codes import By, Reason, State
from signalling.core.model import Call
from storage import node_samples
from storage.errors import Unavailable
from storage.node_samples import Counts, Gauges
from storage.pool import Pool
from tests.rest.harness import FakeClock
from tests.server.test_call_watch import START_MS, call, connected, ticked
from tests.signalling.harness import Node
from tests.signalling.pairs import make_pair

__all__ = ["call"]
GAUGES = Gauges(1, 2, 3, 4)
WAIT_S = 20.0


class Shown:
    counts = Counts()

    def __call__(self) -> Counts:
        return self.counts


def sampled(pool: Pool, clock: FakeClock, shown: Shown) -> Sampling:
    return Sampling(pool, 5, clock=clock, counts=shown, gauges=lambda: GAUGES)


async def rows(pool: Pool) -> list[Any]:
    return [
        (row["at"], row["span_s"], row["requested"], row["charged"], row["sockets"])
        for row in await pool.fetch("select * from node_sample order by at")
    ]


def at(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)


def test_calls_and_money_are_counted_as_they_move(call: Call) -> None:
    metrics = Metrics()
    tally = Tally(metrics)
    talking = connected(call, START_MS)
    paid = ticked(talking, 0, 100)
    over = replace(
        paid, state=State.ENDED, reason=Reason.HANGUP, by=By.CALLER, ended_ms=START_MS + 9
    )
    steps = [None, call, talking, paid, over, over]
    for before, after in pairwise(steps):
        assert after is not None
        tally.moved(before, after, START_MS)
    tally.flows(True, 5)
    metrics.observe("GET", "/x", 200, 0.1)
    metrics.observe("GET", "/x", 503, 0.1)
    assert tally.counts == Counts(1, 1, 1, 100, 2, 1)


async def test_a_row_tells_of_what_happened_since_the_last_one(pool: Pool) -> None:
    clock, shown = FakeClock(START_MS), Shown()
    shown.counts = Counts(requested=7)
    sampling_ = sampled(pool, clock, shown)
    shown.counts = Counts(requested=9, charged_minor=100)
    await sampling_.write(START_MS + 10_000)
    shown.counts = Counts(requested=9, charged_minor=150)
    await sampling_.write(START_MS + 20_000)
    assert await rows(pool) == [
        (at(START_MS + 10_000), 10.0, 2, 100, 3),
        (at(START_MS + 20_000), 10.0, 0, 50, 3),
    ]


async def test_what_could_not_be_written_is_in_the_next_row(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, shown = FakeClock(START_MS), Shown()
    sampling_ = sampled(pool, clock, shown)

    async def lose(*_: object) -> None:
        raise OSError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(node_samples, "add", lose)
        shown.counts = Counts(requested=1)
        with pytest.raises(Unavailable):
            await sampling_.write(START_MS + 10_000)
    shown.counts = Counts(requested=3)
    await sampling_.write(START_MS + 20_000)
    assert await rows(pool) == [(at(START_MS + 20_000), 20.0, 3, 0, 3)]


async def test_the_last_seconds_are_written_at_the_stop(pool: Pool) -> None:
    clock, shown = FakeClock(START_MS), Shown()
    sampling_ = sampled(pool, clock, shown)
    await sampling_.start()
    clock.move(1_500)
    shown.counts = Counts(requested=2)
    await sampling_.stop()
    assert await rows(pool) == [(at(START_MS + 1_500), 1.5, 2, 0, 3)]


async def test_a_stop_without_time_gone_by_writes_nothing(pool: Pool) -> None:
    sampling_ = sampled(pool, FakeClock(START_MS), Shown())
    await sampling_.stop()
    assert await rows(pool) == []


async def test_all_nodes_write_at_the_same_moments(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "EVERY_MS", 20)
    began_ms = START_MS + 7

    def clock() -> int:
        return began_ms + int((loop.time() - began_s) * 1_000)

    loop = asyncio.get_running_loop()
    began_s = loop.time()
    sampling_ = Sampling(pool, 5, clock=clock, counts=Shown(), gauges=lambda: GAUGES)
    await sampling_.start()
    async with asyncio.timeout(WAIT_S):
        while len(await rows(pool)) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    assert sampling_._task is not None
    sampling_._task.cancel()
    await asyncio.wait([sampling_._task])
    moments = [row[0] for row in await rows(pool)]
    assert all(round(each.timestamp() * 1_000) % 20 == 0 for each in moments)
    assert EVERY_MS == 10_000


async def test_gauges_say_what_a_node_is_doing(pool: Pool) -> None:
    node = await Node.start(pool)
    try:
        assert gauges_of(node.live) == Gauges(0, 0, node.hub.sockets, 0)
        pair = await make_pair(node)
        await pair.ring()
        found = gauges_of(node.live)
        assert (found.live, found.ringing, found.users) == (1, 1, 2)
        await pair.tab.ok("call_accept", call=pair.call)
        found = gauges_of(node.live)
        assert (found.live, found.ringing) == (1, 0)
    finally:
        await node.stop()


async def test_samples_are_kept_for_eight_days(pool: Pool) -> None:
    sampling_ = sampled(pool, FakeClock(START_MS), Shown())
    now_ms = int(datetime.now(UTC).timestamp() * 1_000)
    async with pool.acquire() as conn:
        for days in (0, 9):
            at_ms = now_ms - days * 86_400_000
            await node_samples.add(conn, 5, at_ms, 10.0, Counts(), GAUGES)
        [chore] = sampling_.chores()
        await chore.do(conn)
    assert len(await rows(pool)) == 1
