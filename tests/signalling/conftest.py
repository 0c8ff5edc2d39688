"""Nodes in memory on a fresh database."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from storage.pool import Pool
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
