"""Taking calls over from other nodes: those of the dead, and those that were handed to us."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any
from uuid import UUID

import msgspec

from signalling.calls.circle import Circle
from signalling.calls.claims import Claims
from signalling.calls.guests import Guests
from signalling.calls.host import Accounts, Host, Later, Performer
from signalling.calls.performer import Books
from signalling.calls.recovery import closing, remains_of, tell
from signalling.calls.registry import Registry
from signalling.codes import Party
from signalling.core import inputs, revival
from signalling.core.effects import Effect
from signalling.core.model import Call, leg_of
from signalling.limits import CallLimits
from signalling.nodes.exchange import Exchange
from signalling.nodes.fanout import NOWHERE, Fanout
from signalling.nodes.parcels import Handed
from storage import works
from storage.errors import Unavailable
from storage.nodes import Orphan

log = logging.getLogger(__name__)

BATCH_MAX = 500
TAKEN_S = 5.0


class Adopter:
    """`adopted(how)` is told of each call: handed, revived or settled; `fenced` of dead nodes.

    What is adopted is in the registry when `take` returns, or is being settled.
    """

    def __init__(
        self,
        *,
        claims: Claims,
        registry: Registry,
        guests: Guests,
        circle: Circle,
        fanout: Fanout,
        exchange: Exchange,
        books: Books,
        performer: Performer,
        limits: CallLimits,
        clock: Callable[[], int],
        later: Later,
        adopted: Callable[[str], None] = lambda _how: None,
        fenced: Callable[[int], None] = lambda _nodes: None,
    ) -> None:
        self._claims = claims
        self._registry = registry
        self._guests = guests
        self._circle = circle
        self._fanout = fanout
        self._bus = exchange.bus
        self._books = books
        self._performer = performer
        self._limits = limits
        self._clock = clock
        self._later = later
        self._adopted = adopted
        self._fenced = fenced
        self._open = True
        self._fencing: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        exchange.on(Handed, self._handed)

    async def sweep(self) -> bool:
        """Fence the dead and take what they left; never True: there is no more at once.

        Raises:
            Unavailable: the database does not answer.
        """
        await self.fence_dead()
        return await self.take_orphans()

    async def take_orphans(self) -> bool:
        if self._open:
            left = await self._claims.orphaned()
            for first in range(0, len(left), BATCH_MAX):
                await self.take(left[first : first + BATCH_MAX])
        return False

    async def fence_dead(self) -> None:
        """One look at a time serves all who ask."""
        if self._fencing is None or self._fencing.done():
            self._fencing = asyncio.create_task(self._fence_dead(), name="fencing")
        await asyncio.shield(self._fencing)

    async def _fence_dead(self) -> None:
        count = await self._claims.fence_dead()
        if count:
            log.warning("dead nodes were fenced", extra={"nodes": count})
            self._fenced(count)

    async def take(self, call_ids: Sequence[UUID], *, handed: bool = False) -> None:
        """Go on with those of these calls that nobody runs. `handed`: their owner has said so to
        this node, after all that it has told of them.

        Raises:
            Unavailable: the database does not answer.
        """
        if self._open:
            # Who asks may give up in the midst of it; what is ours then must have its host.
            await asyncio.shield(self._start(self._take(call_ids, handed)))

    async def _take(self, call_ids: Sequence[UUID], handed: bool) -> None:
        orphans = await self._claims.adopt(call_ids)
        places = await asyncio.gather(*[self._where(orphan) for orphan in orphans])
        for orphan, (caller, callee) in zip(orphans, places, strict=True):
            try:
                self._begin(orphan, caller, callee, handed)
            except Exception:
                # The books are open and ours: this node's next life finds the call again.
                log.exception("a call cannot be gone on with", extra=about(orphan))

    def close(self) -> None:
        """Take nothing any more: this node goes away."""
        self._open = False

    async def stop(self) -> None:
        self.close()
        pending = [task for task in (*self._tasks, self._fencing) if task is not None]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)

    def _handed(self, node: str, given: Handed) -> None:
        self._start(self._take_handed(node, given.calls))

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _take_handed(self, node: str, call_ids: Sequence[UUID]) -> None:
        try:
            async with asyncio.timeout(TAKEN_S):
                await self.take(call_ids, handed=True)
            self._circle.taken(node, call_ids)
        except (Unavailable, TimeoutError):
            log.warning("calls handed over could not be taken", extra={"calls": len(call_ids)})

    async def _where(self, orphan: Orphan) -> tuple[frozenset[str], frozenset[str]]:
        try:
            return await self._circle.where(orphan.caller_id, orphan.callee_id)
        except Unavailable:
            return NOWHERE, NOWHERE  # Their devices ask after the call when they connect.

    def _begin(
        self, orphan: Orphan, caller: frozenset[str], callee: frozenset[str], handed: bool
    ) -> None:
        if self._registry.find(orphan.call_id) is not None:
            return  # Taken by two at once, of whom one did not hear that it was done.
        if orphan.silent_ms > self._limits.grace_ms:
            # Nobody can have waited for so long.
            self._settle(orphan)
            self._adopted("settled")
            return
        call = self._left(orphan)
        if call is not None:
            host = self._host(orphan, call, [], caller, callee, fresh=False)
            if not handed:
                self._circle.unheard(host)
            self._adopted("handed")
            return
        call, effects = revival.revive(
            orphan.call_id, remains_of(orphan), self._limits, self._clock()
        )
        self._host(orphan, call, effects, caller, callee, fresh=True)
        self._adopted("revived")

    def _settle(self, orphan: Orphan) -> None:
        work = closing(orphan)

        def closed(_: works.Outcome) -> None:
            tell(work)
            self._circle.over_unheard(
                orphan.call_id, (orphan.caller_id, orphan.callee_id), orphan.claim
            )
            self._guests.forget(orphan.call_id)

        self._books.put(work, closed)

    def _left(self, orphan: Orphan) -> Call | None:
        """The state as its owner left it, by our clock; None if there is none that we can read."""
        if orphan.left is None:
            return None
        skew_ms = self._clock() - orphan.left_age_ms - orphan.left_now_ms
        try:
            return revival.decode(orphan.left, skew_ms)
        except msgspec.DecodeError:
            log.warning("a call was left in a way that cannot be read", extra=about(orphan))
            return None

    def _host(
        self,
        orphan: Orphan,
        call: Call,
        effects: list[Effect],
        caller: frozenset[str],
        callee: frozenset[str],
        *,
        fresh: bool,
    ) -> Host:
        accounts = Accounts(orphan.payer, orphan.payee, orphan.platform, orphan.bonus)
        host = Host(call, accounts, self._performer, self._clock, self._later, claim=orphan.claim)
        self._registry.add(host)
        self._guests.forget(host.id)
        self._circle.opened(host, caller, callee, fresh=fresh)
        host.go_on(effects)
        for party in Party:
            self._find_leg(host, party, orphan, fresh=fresh)
        if not fresh:
            # Money that came while the call was on its way has told nobody.
            host.take(inputs.Funded())
        return host

    def _find_leg(self, host: Host, party: Party, orphan: Orphan, *, fresh: bool) -> None:
        """What is known of a leg's socket at the beginning; fresh legs say it themselves."""
        user_id, device = host.user(party), leg_of(host.call, party).device
        if device is None:
            return
        if self._fanout.has_device(user_id, device):
            self._fanout.mark(user_id, device, in_call=True)
            if not fresh:
                host.take(inputs.SocketBack(party, device))
        elif not fresh and not self._is_there(orphan.epoch):
            # Who left the call is gone, and its sockets with it.
            host.take(inputs.SocketMoving(party, device))

    def _is_there(self, epoch: int) -> bool:
        return any(peer.endswith(f".{epoch}") for peer in self._bus.peers())


def about(orphan: Orphan) -> dict[str, str]:
    return {"call_id": str(orphan.call_id)}
