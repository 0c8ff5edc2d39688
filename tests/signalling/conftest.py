"""Nodes in memory on a fresh database."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from signalling.calls import circle
from signalling.core import revival
from storage.pool import Pool
from tests.signalling.cluster import Apart, Cluster, make_apart
from tests.signalling.harness import Node

StartNode = Callable[..., Awaitable[Node]]


@pytest.fixture
async def start_node(pool: Pool) -> AsyncIterator[StartNode]:
    """`await start_node(push=...)`: a node with settings of its own, stopped after the test."""
    started: list[Node] = []

    async def start(**settings: object) -> Node:
        node = await Node.start(pool, **settings)  # type: ignore[arg-type]  # passed on
        started.append(node)
        return node

    yield start
    for node in started:
        await node.stop()


@pytest.fixture
async def node(start_node: StartNode) -> Node:
    return await start_node()


StartCluster = Callable[..., Awaitable[Cluster]]


@pytest.fixture
async def start_cluster(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[StartCluster]:
    """`await start_cluster("west", "east")`: nodes of one deployment, stopped after the test."""
    # Real time passes between two nodes, while the clock of the test stands still.
    monkeypatch.setattr(revival, "SKEW_MS", 60_000)
    monkeypatch.setattr(circle, "DEAD_LOOK_S", 0.01)
    monkeypatch.setattr(circle, "DEAD_LOOKS", 1_000)
    started: list[Cluster] = []

    async def start(*names: str, **settings: object) -> Cluster:
        cluster = await Cluster.start(pool, *names, **settings)
        started.append(cluster)
        return cluster

    yield start
    for cluster in started:
        await cluster.stop()


@pytest.fixture
async def cluster(start_cluster: StartCluster) -> Cluster:
    return await start_cluster("west", "east", "north")


@pytest.fixture
async def apart(cluster: Cluster) -> Apart:
    return await make_apart(cluster)
