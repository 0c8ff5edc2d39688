"""A connection to PostgreSQL over which nodes send each other short texts, kept up for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

import structlog

from storage import parcels
from storage.errors import Unavailable
from storage.pool import LOST, Connection

PER_S = 300
BATCH_MAX = 50
STALE_S = 5.0
PROBE_S = 10.0
BACKOFF_MIN_S = 0.1
BACKOFF_MAX_S = 2.0
PAUSE_S = 0.02
STOP_S = 1.0

_log = structlog.get_logger(__name__)


class Batch(NamedTuple):
    """Texts for channels, and how many parcels are whole with them."""

    notices: list[tuple[str, str]]
    parcels: int
    at_s: float


class Notices:
    """`heard` gets each text; `pack(most)` makes a batch of what is to be sent, or None.

    A batch is sent again after a fault, as long as it is not too old: a text may come twice.
    """

    def __init__(
        self,
        dsn: str,
        address: str,
        *,
        heard: Callable[[str], None],
        pack: Callable[[int], Batch | None],
        gave_up: Callable[[int], None],
    ) -> None:
        self._dsn = dsn
        self._address = address
        self._heard = heard
        self._pack = pack
        self._gave_up = gave_up
        self._batch: Batch | None = None
        self._wake = asyncio.Event()
        self._quiet = asyncio.Event()
        self._quiet.set()
        self._tokens = float(PER_S)
        self._filled_s = monotonic()
        self._task: asyncio.Task[None] | None = None
        self.connected = False
        self.parcels_sent = 0

    @property
    def sending(self) -> bool:
        return self._batch is not None

    def wake(self) -> None:
        """There is something to send."""
        self._quiet.clear()
        self._wake.set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="spare way")

    async def stop(self) -> None:
        """What waits is sent, if there is somebody to take it."""
        try:
            async with asyncio.timeout(STOP_S if self.connected else 0):
                await self._quiet.wait()
        except TimeoutError:
            pass
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        failures = 0
        while True:
            conn: Connection | None = None
            try:
                conn = await parcels.listen(self._dsn, self._address, self._hear, self._wake.set)
                if failures:
                    _log.info("spare_way_back")
                self.connected, failures = True, 0
                await self._serve(conn)
            except (Unavailable, *LOST):
                pass
            except Exception:
                _log.exception("spare_way_failed")
            finally:
                self.connected = False
                if conn is not None:
                    conn.terminate()
            if not failures:
                _log.warning("spare_way_lost")
            failures += 1
            await asyncio.sleep(min(BACKOFF_MIN_S * 2.0 ** min(failures - 1, 10), BACKOFF_MAX_S))

    async def _serve(self, conn: Connection) -> None:
        """Until the connection is lost.

        Raises:
            Unavailable: it was.
        """
        while not conn.is_closed():
            self._wake.clear()
            if self._batch is not None and self._batch.at_s < monotonic() - STALE_S:
                self._gave_up(self._batch.parcels)
                self._batch = None
            most = self._most()
            if self._batch is None and most:
                self._batch = self._pack(most)
            if self._batch is not None:
                await parcels.notify(conn, self._batch.notices)
                self._tokens -= len(self._batch.notices)
                self.parcels_sent += self._batch.parcels
                self._batch = None
            elif not most:
                await asyncio.sleep(PAUSE_S)
            else:
                self._quiet.set()
                if not await self._woken():
                    await parcels.notify(conn, [])  # Is it still there?

    async def _woken(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_S):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    def _most(self) -> int:
        """How many texts may go now."""
        now_s = monotonic()
        self._tokens = min(PER_S, self._tokens + (now_s - self._filled_s) * PER_S)
        self._filled_s = now_s
        return min(BATCH_MAX, int(self._tokens))

    def _hear(self, text: str) -> None:
        try:
            self._heard(text)
        except Exception:
            _log.exception("spare_listener_failed")
