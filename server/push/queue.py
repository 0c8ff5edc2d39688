"""From a wish to wake somebody to pushes: who is asleep, by which adapter, once more or never.

`wake` never waits, and nothing that happens here is a fault of the call. Each adapter has a lane of
its own, so that one whose service hangs holds up nobody else's pushes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from uuid import UUID

import msgspec

from server.push.lane import Lane
from server.push.port import Adapter, Outcome, Said
from signalling.calls.host import Handle, Later
from signalling.limits import Rate
from signalling.push import Wake
from signalling.sockets.throttle import TokenBuckets
from storage import devices
from storage.devices import Registered
from storage.errors import Unavailable
from storage.pool import Pool, within

log = logging.getLogger(__name__)

QUEUE_MAX = 1_000
READERS = 4
SENDERS = 16
SEND_S = 5.0
DB_S = 2.0
RETRY_MS = 1_000
TRIES = 2
# Many strangers who ring and hang up must not keep a phone awake: 5 at once, then one in 12 s.
PER_USER = Rate(5, 12_000)
# What is counted before an adapter is chosen.
NO_ADAPTER = "none"


class Sending(msgspec.Struct, frozen=True):
    """A push to one device, on its way for the `tries`th time."""

    wake: Wake
    to: Registered
    tries: int = 1


class PushQueue:
    """`start` and `stop` frame its tasks. Without adapters it wakes nobody."""

    def __init__(
        self,
        pool: Pool,
        adapters: Sequence[Adapter],
        *,
        clock: Callable[[], int],
        later: Later,
        observe: Callable[[str, str], None],
        ringing: Callable[[UUID], bool],
        queue_max: int = QUEUE_MAX,
        send_s: float = SEND_S,
    ) -> None:
        """`clock` gives Unix ms. `observe` hears (adapter, outcome) of each push and of each wake
        that came to none; `ringing` says whether a call still waits for an answer."""
        self._pool = pool
        self._adapters = {each.name: each for each in adapters}
        self._clock = clock
        self._later = later
        self._observe = observe
        self._ringing = ringing
        self._queue_max = queue_max
        self._send_s = send_s
        self._per_user = TokenBuckets(PER_USER)
        self._retries: set[Handle] = set()
        self._wakes = Lane(
            "wakes",
            self._read,
            workers=READERS,
            size_max=queue_max,
            dropped=partial(observe, NO_ADAPTER, "dropped"),
        )
        self._lanes = {
            each.name: Lane(
                each.name,
                self._send,
                workers=SENDERS,
                size_max=queue_max,
                dropped=partial(observe, each.name, "dropped"),
            )
            for each in adapters
        }

    @property
    def enabled(self) -> bool:
        return bool(self._adapters)

    def wake(self, wake: Wake) -> None:
        if self._per_user.take(str(wake.user_id), self._clock()) > 0:
            self._observe(NO_ADAPTER, "limited")
            return
        self._wakes.put(wake)

    async def start(self) -> None:
        if self.enabled:
            self._wakes.start()
            for lane in self._lanes.values():
                lane.start()

    async def stop(self) -> None:
        await self._wakes.stop()
        await asyncio.gather(*(lane.stop() for lane in self._lanes.values()))
        for handle in self._retries:
            handle.cancel()
        self._retries.clear()
        for adapter in self._adapters.values():
            await adapter.close()

    # -- the way of one push

    async def _read(self, wake: Wake) -> None:
        """Find the sleeping devices and hand each to its adapter."""
        if self._left_ms(wake) <= 0:
            self._observe(NO_ADAPTER, "late")
            return
        try:
            found = await within(DB_S, self._registered(wake.user_id))
        except Unavailable:
            self._observe(NO_ADAPTER, "failed")
            return
        for each in found:
            if each.provider in self._lanes and each.device_id not in wake.connected:
                self._lanes[each.provider].put(Sending(wake, each))

    async def _registered(self, user_id: UUID) -> list[Registered]:
        async with self._pool.acquire(timeout=DB_S) as conn:
            return await devices.to_wake(conn, user_id)

    def _left_ms(self, wake: Wake) -> int:
        """How long a push is of use; 0 or less when the call rings no more."""
        return wake.expires_at - self._clock() if self._ringing(wake.call_id) else 0

    async def _send(self, sending: Sending) -> None:
        wake, name = sending.wake, sending.to.provider
        left_ms = self._left_ms(wake)
        if left_ms <= 0:
            self._observe(name, "late")
            return
        said = await self._ask(sending, left_ms)
        match said.outcome:
            case Outcome.SENT:
                self._observe(name, "sent")
            case Outcome.BUSY:
                self._again(sending, said)
            case Outcome.GONE:
                self._observe(name, "gone")
                await within(DB_S, self._forget(sending.to))
            case Outcome.REFUSED:
                self._observe(name, "refused")
                self._tell("push refused", sending, said)

    async def _ask(self, sending: Sending, left_ms: int) -> Said:
        adapter = self._adapters[sending.to.provider]
        try:
            async with asyncio.timeout(min(self._send_s, left_ms / 1_000)):
                return await adapter.send(sending.wake, sending.to, max(1, left_ms // 1_000))
        except TimeoutError:
            return Said(Outcome.BUSY, "no answer in time")

    def _again(self, sending: Sending, said: Said) -> None:
        """Once more when the service wants it, if that is while the call still rings."""
        wait_ms = RETRY_MS
        if said.retry_after_s is not None:
            wait_ms = max(wait_ms, int(said.retry_after_s * 1_000))
        too_late = wait_ms >= self._left_ms(sending.wake)
        if sending.tries >= TRIES or too_late or len(self._retries) >= self._queue_max:
            self._observe(sending.to.provider, "failed")
            self._tell("push failed", sending, said)
            return
        self._observe(sending.to.provider, "retried")
        next_try = msgspec.structs.replace(sending, tries=sending.tries + 1)

        def run() -> None:
            self._retries.discard(handle)
            self._lanes[sending.to.provider].put(next_try)

        handle = self._later(wait_ms, run)
        self._retries.add(handle)

    async def _forget(self, registered: Registered) -> None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            await devices.gone(conn, registered)

    def _tell(self, what: str, sending: Sending, said: Said) -> None:
        log.warning(
            what,
            extra={
                "adapter": sending.to.provider,
                "call_id": str(sending.wake.call_id),
                "said": said.why,
            },
        )
