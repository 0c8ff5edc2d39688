"""What users may do with calls by request, whichever node runs them."""

import logging
from collections.abc import Callable
from typing import Literal, TypeVar
from uuid import UUID

import msgspec

from signalling.calls.actions import FINAL_WAIT_S, Actions, Ended
from signalling.calls.asking import Asking
from signalling.calls.finder import Finder
from signalling.calls.opening import Opened
from signalling.calls.registry import Registry
from signalling.codes import Code, Refused, State
from signalling.commands import CallRequest, MediaWish
from signalling.events import Final, IceServer, Snapshot
from signalling.nodes import parcels
from signalling.nodes.exchange import Exchange
from signalling.nodes.parcels import CallQuestion, Funded
from storage.errors import Unavailable

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")
END_S = FINAL_WAIT_S + 1.0


class RoutedActions:
    """As `Actions`, for calls of this node and of others. Raises what that raises.

    A call that no node runs is `Actions`' own: it knows those that have ended here.
    """

    def __init__(
        self,
        *,
        actions: Actions,
        registry: Registry,
        asking: Asking,
        finder: Finder,
        exchange: Exchange,
        address: str,
        credentials: Callable[[UUID, UUID], list[IceServer]],
    ) -> None:
        """`credentials(user_id, call_id)` are for a party of a live call."""
        self._actions = actions
        self._registry = registry
        self._asking = asking
        self._finder = finder
        self._exchange = exchange
        self._address = address
        self._credentials = credentials
        exchange.on(Funded, self._funded)

    async def request(
        self,
        *,
        caller: UUID,
        device: str,
        wish: CallRequest,
        request_id: str | None,
        connect_on: str,
    ) -> Opened:
        return await self._actions.request(
            caller=caller, device=device, wish=wish, request_id=request_id, connect_on=connect_on
        )

    async def accept(self, user_id: UUID, call_id: UUID, *, media: MediaWish) -> Snapshot:
        question = parcels.Accept(call_id, user_id, media.audio, media.video)
        view = await self._ask(question, Snapshot)
        return view or self._actions.accept(user_id, call_id, media=media)

    async def reject(
        self,
        user_id: UUID,
        call_id: UUID,
        *,
        reason: Literal["declined", "busy", "away"],
        note: str | None = None,
    ) -> Snapshot:
        view = await self._ask(parcels.Reject(call_id, user_id, reason, note), Snapshot)
        return view or self._actions.reject(user_id, call_id, reason=reason, note=note)

    async def end(self, user_id: UUID, call_id: UUID) -> Final:
        final = await self._ask(parcels.End(call_id, user_id), Final, timeout_s=END_S)
        return final or await self._actions.end(user_id, call_id)

    async def stop(self, call_id: UUID) -> Ended:
        """End a call as the operator.

        Raises:
            Refused: not_found, no node runs it.
        """
        question = parcels.Stop(call_id, call_id)
        ended = await self._ask(question, Ended, timeout_s=END_S)
        return ended or await self._actions.stop(call_id)

    async def leave(self, user_id: UUID) -> None:
        """The user goes away: hang up their live call, if there is one, and wait for its books.

        Never raises: who leaves is not held up by a call that cannot be settled now.
        """
        if self._registry.of_user(user_id) is not None or self._exchange.bus.alone:
            await self._actions.leave(user_id)
            return
        try:
            found = await self._finder.of_user(user_id)
            if found is not None:
                await self.end(user_id, found[0])
        except (Refused, Unavailable, TimeoutError):
            log.warning("a leaving user's call is not settled yet", extra={"user": str(user_id)})

    async def snapshot(self, user_id: UUID, call_id: UUID) -> Snapshot | None:
        """A call that is live, or ended on this node a moment ago, as this user sees it."""
        known = self._actions.snapshot(user_id, call_id)
        if known is not None:
            return known
        return await self._ask(parcels.Look(call_id, user_id), Snapshot)

    async def live_call(self, user_id: UUID) -> Snapshot | None:
        known = self._actions.live_call(user_id)
        if known is not None or self._exchange.bus.alone:
            return known
        try:
            found = await self._finder.of_user(user_id)
        except Unavailable:
            raise Refused(
                Code.UNAVAILABLE, "The call's node does not answer; ask again.", retry_after_ms=500
            ) from None
        return None if found is None else await self.snapshot(user_id, found[0])

    async def media_hook(self, call_id: UUID, kind: Literal["connected", "rtp", "end"]) -> State:
        state = await self._ask(parcels.Hook(call_id, call_id, kind), State)
        return state or self._actions.media_hook(call_id, kind)

    async def ice_servers(self, user_id: UUID, call_id: UUID) -> list[IceServer]:
        """Credentials for a party of a live call.

        Raises:
            Refused: not_found, not_your_call, call_over.
        """
        view = await self._ask(parcels.Look(call_id, user_id), Snapshot)
        if view is not None and view.state is not State.ENDED:
            return self._credentials(user_id, call_id)
        return self._actions.ice_servers(user_id, call_id)

    async def funded(self, user_id: UUID, bonus: int | None = None) -> None:
        """Money arrived in this user's wallet: a live call they pay for may go on longer."""
        if self._registry.of_user(user_id) is not None or self._exchange.bus.alone:
            self._actions.funded(user_id, bonus)
            return
        found = await self._finder.of_user(user_id)
        if found is None:
            return
        if found[1] == self._address:
            self._actions.funded(user_id, bonus)
        else:
            self._exchange.send(found[1], Funded(user_id, bonus))

    def _funded(self, _: str, given: Funded) -> None:
        self._actions.funded(given.user_id, given.bonus)

    async def _ask(
        self, question: CallQuestion, kind: type[Answer], *, timeout_s: float = 2.0
    ) -> Answer | None:
        """What another node answers; None when the call is for this node to answer for."""
        here = self._registry.find(question.call) is not None
        if here or self._exchange.bus.alone or self._actions.has_ended(question.call):
            return None
        answer = await self._asking.ask(question, timeout_s=timeout_s)
        return None if answer is None else msgspec.json.decode(answer, type=kind)
