"""Direct ways are tried on both event loops: each has its own idea of sockets."""

import asyncio
from collections.abc import Callable

import pytest
import uvloop

ON_BOTH = {"test_cable", "test_direct", "test_doors"}


def pytest_asyncio_loop_factories(
    config: object, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    factories: dict[str, Callable[[], asyncio.AbstractEventLoop]]
    factories = {"asyncio": asyncio.new_event_loop}
    if item.path.stem in ON_BOTH:
        factories["uvloop"] = uvloop.new_event_loop
    return factories
