"""A node that goes away leaves its calls to others, with all they know, and without a pause."""

import asyncio
import logging
from collections.abc import Callable
from itertools import cycle
from typing import Protocol
from uuid import UUID

from signalling.calls.circle import Circle, owns
from signalling.calls.guests import Guests
from signalling.calls.host import Host
from signalling.calls.performer import Books
from signalling.calls.registry import Registry
from signalling.codes import State
from signalling.core import revival
from signalling.nodes.exchange import Exchange
from signalling.nodes.parcels import Handed
from storage import works

log = logging.getLogger(__name__)

WRITE_S = 5.0
TAKEN_S = 3.0
LOOK_S = 0.01
PARCEL_MAX = 200


class Ledger(Books, Protocol):
    def is_busy(self, call_id: UUID) -> bool:
        """Whether a work of this call is not done yet."""
        ...


class Handover:
    """What is said to a call on its way is kept by the guests' callers, who try again."""

    def __init__(
        self,
        *,
        registry: Registry,
        guests: Guests,
        circle: Circle,
        exchange: Exchange,
        books: Ledger,
        clock: Callable[[], int],
        parted: Callable[[Host], None] = lambda _host: None,
    ) -> None:
        """`parted` is told of each call that is run here no more."""
        self._registry = registry
        self._guests = guests
        self._circle = circle
        self._exchange = exchange
        self._books = books
        self._clock = clock
        self._parted = parted

    async def all(self) -> int:
        """Leave every call of this node; how many there were. Never raises.

        Returns when others have taken them, or no longer can be waited for: then the first node
        that a party reaches, or this one's next life, goes on with them.
        """
        hosts = [host for host in self._registry.hosts() if host.call.state is not State.ENDED]
        left = await asyncio.gather(*[self._leave(host) for host in hosts])
        calls = [host.id for host, done in zip(hosts, left, strict=True) if done]
        successors = self._exchange.bus.successors()
        if calls and successors:
            part = min(PARCEL_MAX, -(-len(calls) // len(successors)))
            for node, first in zip(cycle(successors), range(0, len(calls), part), strict=False):
                self._exchange.send(node, Handed(tuple(calls[first : first + part])))
            await self._wait_taken(calls)
        return len(calls)

    async def _leave(self, host: Host) -> bool:
        """Write one call down, when its books have answered all that was asked of them."""
        # From here on nobody finds it: what comes for it waits until its new owner is known.
        self._registry.release(host)
        self._guests.learn(None, owns(host))
        try:
            async with asyncio.timeout(WRITE_S):
                await until_not(lambda: self._books.is_busy(host.id))
                if host.call.state is State.ENDED:
                    return False  # Its end is told from here.
                left = await self._write(host)
        except TimeoutError:
            left = False
            log.error("a call could not be handed over", extra={"call_id": str(host.id)})
        host.abandon()
        self._parted(host)
        return left

    async def _write(self, host: Host) -> bool:
        done: asyncio.Future[works.Outcome] = asyncio.get_running_loop().create_future()

        def told(outcome: works.Outcome) -> None:
            if not done.done():
                done.set_result(outcome)

        work = works.HandOver(
            call_id=host.id, now_ms=self._clock(), state=revival.encode(host.call)
        )
        self._books.put(work, told)
        outcome = await done
        self._circle.forget(host)
        return isinstance(outcome, works.HandedOver) and outcome.left

    async def _wait_taken(self, calls: list[UUID]) -> None:
        try:
            async with asyncio.timeout(TAKEN_S):
                await until_not(lambda: any(self._on_its_way(call_id) for call_id in calls))
        except TimeoutError:
            log.warning("not all calls were taken over in time")

    def _on_its_way(self, call_id: UUID) -> bool:
        guest = self._guests.find(call_id)
        return guest is not None and guest.node is None


async def until_not(so: Callable[[], bool]) -> None:
    """Wait until it is not so any more; looked at every 10 ms, once in a process's life."""
    while True:
        if not so():
            return
        await asyncio.sleep(LOOK_S)
