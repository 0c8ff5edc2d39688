"""Samples of nodes: summed over nodes and steps, fresh ones only where it matters, swept."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from storage import node_samples
from storage.node_samples import Counts, Gauges
from storage.pool import Connection
from tests.storage.world import make_node

AT_MS = 1_800_000_000_000
AT = datetime.fromtimestamp(AT_MS / 1000, UTC)
COUNTS = Counts(1, 2, 3, 40, 5, 6)
GAUGES = Gauges(10, 2, 30, 4)


async def add(conn: Connection, epoch: int, at_ms: int, gauges: Gauges = GAUGES) -> None:
    await node_samples.add(conn, epoch, at_ms, 10.0, COUNTS, gauges)


async def test_counts_are_summed_and_gauges_are_means_of_each_node(conn: Connection) -> None:
    one, two = await make_node(conn, "one"), await make_node(conn, "two")
    await add(conn, one.epoch, AT_MS + 10_000, Gauges(10, 0, 30, 4))
    await add(conn, one.epoch, AT_MS + 20_000, Gauges(20, 2, 30, 4))
    await add(conn, two.epoch, AT_MS + 20_000, Gauges(100, 1, 7, 1))
    until = AT + timedelta(seconds=60)
    [point] = await node_samples.points(conn, AT, until, 20)
    assert point.at == AT, "what a sample tells of lies before it"
    assert point.counts == Counts(3, 6, 9, 120, 15, 18)
    assert point.gauges == Gauges(115, 2, 37, 5)
    points = await node_samples.points(conn, AT, until, 10)
    assert [(each.at, each.counts.requested) for each in points] == [
        (AT, 1),
        (AT + timedelta(seconds=10), 2),
    ]


async def test_what_lies_outside_is_not_counted(conn: Connection) -> None:
    node = await make_node(conn)
    for at_ms in (AT_MS, AT_MS + 10_000, AT_MS + 20_000):
        await add(conn, node.epoch, at_ms)
    points = await node_samples.points(conn, AT, AT + timedelta(seconds=10), 10)
    assert [each.at for each in points] == [AT]


async def test_a_sample_is_there_once(conn: Connection) -> None:
    node = await make_node(conn)
    for _ in range(2):
        await add(conn, node.epoch, AT_MS)
    assert await conn.fetchval("select count(*) from node_sample") == 1


async def test_the_last_minute_is_of_all_nodes_and_the_gauges_of_the_others(
    conn: Connection,
) -> None:
    now_ms = time.time_ns() // 1_000_000
    here, there, gone = [await make_node(conn, name) for name in ("here", "there", "gone")]
    await conn.execute("update node set fenced = true where epoch = $1", gone.epoch)
    await add(conn, here.epoch, now_ms - 5_000)
    await add(conn, there.epoch, now_ms - 15_000, Gauges(99, 99, 99, 99))
    await add(conn, there.epoch, now_ms - 5_000, Gauges(1, 2, 3, 4))
    await add(conn, gone.epoch, now_ms - 5_000)
    await add(conn, here.epoch, now_ms - 90_000)
    minute = await node_samples.last_minute(conn, here.epoch)
    assert minute.counts.requested == 4
    assert minute.others == Gauges(1, 2, 3, 4)


async def test_nodes_that_beat_are_there(conn: Connection) -> None:
    before = set(await node_samples.alive(conn))
    old, left = await make_node(conn, "old"), await make_node(conn, "left")
    await make_node(conn, "new")
    await conn.execute(
        "update node set beat_at = now() - interval '20 s' where epoch = $1", old.epoch
    )
    await conn.execute("update node set fenced = true where epoch = $1", left.epoch)
    assert set(await node_samples.alive(conn)) - before == {"new"}


async def test_old_ones_are_swept(conn: Connection) -> None:
    node = await make_node(conn)
    now_ms = time.time_ns() // 1_000_000
    for days in (0, 9, 10, 11):
        await add(conn, node.epoch, now_ms - days * 86_400_000)
    assert await node_samples.sweep(conn, days=8, limit=2) == 2
    assert await node_samples.sweep(conn, days=8, limit=2) == 1
    assert await conn.fetchval("select count(*) from node_sample") == 1


async def test_steps_are_found_by_time(conn: Connection) -> None:
    await conn.execute("set local enable_seqscan = off")
    rows = await conn.fetch(
        f"explain (costs off) {node_samples._POINTS}", AT, AT, timedelta(seconds=10)
    )
    assert "node_sample_pkey" in "\n".join(row[0] for row in rows)
