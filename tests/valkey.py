"""A real Valkey for the tests: one for the whole run, or one of a test's own that can be hurt."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from server.embedded_valkey import EmbeddedValkey


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis that all tests share: each keeps to a prefix of its own."""
    server = EmbeddedValkey()
    yield server.start()
    server.stop()


class Valkey(EmbeddedValkey):
    """One that can be frozen: it keeps its connections, and answers nothing."""

    def freeze(self) -> None:
        assert self.pid is not None
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.pid is not None
        os.kill(self.pid, signal.SIGCONT)

    def restart_empty(self) -> None:
        self.kill()
        self.start()


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    """One for this test alone."""
    server = Valkey()
    server.start()
    yield server
    server.kill()
    server.stop()
