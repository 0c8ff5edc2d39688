"""Fixtures for tests of `rest.http`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.rest.http.plain import Clients


@pytest.fixture
async def clients() -> AsyncIterator[Clients]:
    async with Clients() as opened:
        yield opened
