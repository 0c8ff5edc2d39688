"""Argon2id off the event loop: few workers, a short queue, and the same work for unknown names."""

from __future__ import annotations

import asyncio
import functools
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from storage.errors import Unavailable

T = TypeVar("T")


class HashCost(msgspec.Struct, frozen=True):
    """Argon2id's cost, by default OWASP's minimum: some 20 ms. Each check holds the memory."""

    memory_kib: int = 19_456
    passes: int = 2
    lanes: int = 1
    workers: int = 1
    queue_max: int = 16


class Passwords:
    """Hashes and checks passwords. `close` it at the end."""

    def __init__(self, cost: HashCost | None = None) -> None:
        self._cost = cost or HashCost()
        self._hasher = PasswordHasher(
            time_cost=self._cost.passes,
            memory_cost=self._cost.memory_kib,
            parallelism=self._cost.lanes,
        )
        self._workers = ThreadPoolExecutor(self._cost.workers, thread_name_prefix="argon2")
        self._waiting = 0
        # Checked in place of an account that is not there, so that both take as long.
        self._dummy = self._hasher.hash(secrets.token_urlsafe(16))

    @property
    def waiting(self) -> int:
        """How many hashes are asked for and not made yet."""
        return self._waiting

    async def hash(self, password: str) -> str:
        """
        Raises:
            Unavailable: too many are waiting already.
        """
        return await self._run(functools.partial(self._hasher.hash, normal(password)))

    async def check(self, password: str, kept: str | None) -> bool:
        """Is it the password of the hash `kept`? False, after the same time, if that is None.

        Raises:
            Unavailable: too many are waiting already.
        """
        known = await self._run(
            functools.partial(self._matches, kept or self._dummy, normal(password))
        )
        return known and kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Was the hash made at another cost than today's?"""
        return self._hasher.check_needs_rehash(kept)

    def close(self) -> None:
        self._workers.shutdown(wait=True, cancel_futures=True)

    def _matches(self, kept: str, password: str) -> bool:
        try:
            return self._hasher.verify(kept, password)
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._cost.workers + self._cost.queue_max:
            raise Unavailable("Too many are logging in at this moment.")
        self._waiting += 1
        try:
            job = self._workers.submit(work)
            # The place in the queue is taken until the work is done, not until nobody waits for it.
            job.add_done_callback(functools.partial(_on_loop, asyncio.get_running_loop(), self))
        except BaseException:
            self._waiting -= 1
            raise
        return await asyncio.wrap_future(job)

    def _left(self) -> None:
        self._waiting -= 1


def _on_loop(loop: asyncio.AbstractEventLoop, passwords: Passwords, _job: object) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(passwords._left)


def normal(password: str) -> str:
    """One spelling of what the keyboard sent (NFKC, as NIST SP 800-63B advises), nothing else."""
    return unicodedata.normalize("NFKC", password)
