"""Which bus a node has, and what is told of it."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from prometheus_client import generate_latest

from server.cluster import SWEEP_ALONE_S, SWEEP_S, make_cluster, ping
from server.embedded_valkey import EmbeddedValkey
from server.metrics import Metrics
from signalling.nodes.bus import Misconfigured
from signalling.nodes.exchange import Exchange
from storage.errors import Unavailable
from tests.server.running import development
from tests.valkey import Valkey


async def test_without_redis_a_node_is_alone_and_tells_nothing_of_others(
    dsn: str, tmp_path: Path
) -> None:
    metrics = Metrics()
    cluster = make_cluster(development(tmp_path), dsn, "main.1", metrics)
    assert cluster.bus.alone
    assert cluster.bus.address == "main.1"
    assert cluster.sweep_s == SWEEP_ALONE_S
    Exchange(cluster.bus)
    await cluster.start()
    assert await cluster.presence.where([uuid4()]) == [frozenset()]
    await cluster.stop()
    text = generate_latest(metrics.registry).decode()
    assert "talktime_bus_" not in text
    assert "talktime_nodes " not in text


async def test_nodes_on_one_redis_find_each_other_unless_their_prefixes_differ(
    dsn: str, tmp_path: Path, redis_url: str
) -> None:
    prefix = f"{uuid4().hex[:8]}:"
    config = development(tmp_path, redis_url=redis_url, redis_prefix=prefix)
    apart = development(tmp_path, redis_url=redis_url, redis_prefix=f"x{prefix}")
    metrics = Metrics()
    one = make_cluster(config, dsn, "a.1", metrics)
    others = [
        make_cluster(config, dsn, "b.2", Metrics()),
        make_cluster(apart, dsn, "c.3", Metrics()),
    ]
    for cluster in (*others, one):
        assert not cluster.bus.alone
        assert cluster.sweep_s == SWEEP_S
        Exchange(cluster.bus)
        await cluster.start()
    try:
        assert one.bus.peers() == {"b.2"}
        read = metrics.registry.get_sample_value
        assert read("talktime_nodes") == 1
        assert read("talktime_bus_healthy") == 1
        assert 0 < (read("talktime_bus_rtt_seconds") or 0) < 60
        for what in ("parcels_sent", "parcels_received", "parcels_dropped", "gaps"):
            assert read(f"talktime_bus_{what}_total") == 0
    finally:
        for cluster in (one, *others):
            await cluster.stop()
    assert read("talktime_bus_healthy") == 0


async def test_a_redis_that_refuses_us_is_an_error_of_the_start(dsn: str, tmp_path: Path) -> None:
    server = EmbeddedValkey(password="right")
    url = server.start()
    try:
        config = development(tmp_path, redis_url=url.replace("right", "wrong"))
        cluster = make_cluster(config, dsn, "main.1", Metrics())
        Exchange(cluster.bus)
        with pytest.raises(Misconfigured) as caught:
            await cluster.start()
        await cluster.stop()
        assert "wrong" not in str(caught.value).replace("wrong password", "")
    finally:
        server.stop()


async def test_redis_is_pinged_on_a_connection_of_its_own(valkey: Valkey) -> None:
    url = valkey.url
    assert await ping(url) == "PONG"
    assert "REDIS_URL is not set" in await ping("")
    valkey.freeze()
    with pytest.raises(Unavailable, match="Redis"):
        await ping(url)
    valkey.thaw()
    with pytest.raises(Unavailable, match="REDIS_URL"):
        await ping(url.replace("unix://", "unix://nobody:wrong@"))
