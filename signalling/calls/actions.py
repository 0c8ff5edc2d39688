"""What users may do with calls; the socket's handlers and the REST routes both come here."""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal, NamedTuple
from uuid import UUID

import msgspec

from signalling.calls.circle import Circle
from signalling.calls.host import Host
from signalling.calls.opening import Opened, Opener
from signalling.calls.records import final_of
from signalling.calls.registry import Registry
from signalling.codes import By, Code, Party, Refused, State
from signalling.commands import CallRequest, MediaWish
from signalling.core import inputs
from signalling.core.model import Call, leg_of
from signalling.core.views import snapshot
from signalling.events import Final, IceServer, Snapshot
from signalling.nodes.fanout import Fanout
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub
from signalling.turn import TurnTerms, ice_servers
from storage import calls
from storage.pool import Pool, within

log = logging.getLogger(__name__)

READ_S = 4.0
# Longer than a call waits for its books, so that the waiting ends with what the devices are told.
FINAL_WAIT_S = 5.0
BOTH_HEAR = MediaWish()


class Ended(NamedTuple):
    """What a call came to, and when it ended, in Unix ms."""

    final: Final
    ended_ms: int


class Actions:
    def __init__(
        self,
        *,
        pool: Pool,
        registry: Registry,
        opener: Opener,
        fanout: Fanout,
        circle: Circle,
        hub: Hub,
        turn: TurnTerms,
        clock: Callable[[], int],
        wait_ms: Callable[[], int] = lambda: 0,
    ) -> None:
        """`wait_ms` says when to ask again for a call that this node is too busy to begin, or 0."""
        self._pool = pool
        self._registry = registry
        self._opener = opener
        self._fanout = fanout
        self._circle = circle
        self._hub = hub
        self._turn = turn
        self._clock = clock
        self._wait_ms = wait_ms

    async def request(
        self,
        *,
        caller: UUID,
        device: str,
        wish: CallRequest,
        request_id: str | None,
        connect_on: str,
    ) -> Opened:
        """Start a call.

        Raises:
            Refused: why no call exists (`admission.admit`), self_busy, bad_frame, unavailable.
        """
        wait_ms = self._wait_ms()
        if wait_ms:
            # Before anything is read: to refuse must cost little.
            raise Refused(
                Code.UNAVAILABLE,
                "The server is busy; send the same request again.",
                retry_after_ms=wait_ms,
            )
        opened = await self._opener.request(
            caller=caller,
            device=device,
            wish=wish,
            request_id=request_id,
            connect_on=connect_on,
        )
        host = self._registry.find(opened.call_id)
        known = self._hub.get(caller, device)
        if known is not None and host is not None:
            known.in_call = self._is_leg(host, known)
        elif known is not None and opened.snapshot.state is not State.ENDED:
            known.in_call = opened.snapshot.you == "active"  # Another node runs the call.
        return opened

    def accept(
        self,
        user_id: UUID,
        call_id: UUID,
        *,
        media: MediaWish = BOTH_HEAR,
    ) -> Snapshot:
        """Answer without a socket; a device of the user's may take the leg over later."""
        host, party = self._live(user_id, call_id)
        if party is not Party.CALLEE:
            raise Refused(Code.FORBIDDEN, "Only the callee may do that.")
        host.feed(inputs.Accepted(None, media.audio, media.video))
        if host.call.state is State.ENDED:
            raise self.over(user_id, call_id)  # Its time was up a moment before.
        return snapshot(host.call, party, None, self._clock())

    def reject(
        self,
        user_id: UUID,
        call_id: UUID,
        *,
        reason: Literal["declined", "busy", "away"],
        note: str | None = None,
    ) -> Snapshot:
        host, party = self._live(user_id, call_id)
        if party is not Party.CALLEE:
            raise Refused(Code.FORBIDDEN, "Only the callee may do that.")
        host.feed(inputs.Rejected(reason, note))
        if host.call.by is not By.CALLEE:
            raise self.over(user_id, call_id)
        return snapshot(host.call, party, None, self._clock())

    async def end(self, user_id: UUID, call_id: UUID) -> Final:
        """Hang up, or cancel while it rings. Ending an ended call again gives the same answer.

        Raises:
            Refused: not_found, not_your_call, unavailable.
        """
        host = self._registry.find(call_id)
        if host is None:
            return await self._stored_final(user_id, call_id)
        party = host.party(user_id)
        if host.call.state is not State.ENDED:
            host.feed(inputs.HungUp(party))
        async with asyncio.timeout(FINAL_WAIT_S):
            return await host.final()

    async def leave(self, user_id: UUID) -> None:
        """The user goes away: hang up their live call, if there is one, and wait for its books.

        Never raises: who leaves is not held up by a call that cannot be settled now.
        """
        host = self._registry.of_user(user_id)
        if host is None:
            return
        try:
            host.feed(inputs.HungUp(host.party(user_id)))
            async with asyncio.timeout(FINAL_WAIT_S):
                await host.final()
        except (Refused, TimeoutError):
            log.warning("a leaving user's call is not settled yet", extra={"call": str(host.id)})

    async def stop(self, call_id: UUID, by: Literal[By.ADMIN, By.SERVER] = By.ADMIN) -> Ended:
        """End a call as the operator, or because the server goes away.

        Raises:
            Refused: not_found, this node does not host it.
        """
        host = self._registry.find(call_id)
        if host is None:
            raise Refused(Code.NOT_FOUND, "There is no such live call.", field="call")
        host.feed(inputs.Stopped(by))
        async with asyncio.timeout(FINAL_WAIT_S):
            final = await host.final()
        assert host.call.ended_ms is not None, "it has ended"
        return Ended(final, host.call.ended_ms)

    def snapshot(self, user_id: UUID, call_id: UUID, device: str | None = None) -> Snapshot | None:
        """A call that is live, or ended on this node a moment ago, as this user sees it."""
        host = self._registry.find(call_id)
        if host is not None:
            return snapshot(host.call, host.party(user_id), device, self._clock())
        ended = self._registry.ended(call_id)
        party = None if ended is None else side(ended, user_id)
        if ended is None or party is None:
            return None
        return snapshot(ended, party, device, self._clock())

    def has_ended(self, call_id: UUID) -> bool:
        """Whether the call has ended on this node a moment ago."""
        return self._registry.ended(call_id) is not None

    def live_call(self, user_id: UUID, device: str | None = None) -> Snapshot | None:
        host = self._registry.of_user(user_id)
        if host is None:
            return None
        return snapshot(host.call, host.party(user_id), device, self._clock())

    def funded(self, user_id: UUID, bonus: int | None = None) -> None:
        """Money arrived in this user's wallet: a live call they pay for may go on longer.

        `bonus` is the account of their bonus money, if some of it came there.
        """
        host = self._registry.of_user(user_id)
        if host is not None and host.party(user_id) is Party.CALLER:
            if bonus is not None:
                host.accounts = msgspec.structs.replace(host.accounts, bonus=bonus)
            host.take(inputs.Funded())

    def media_hook(self, call_id: UUID, kind: Literal["connected", "rtp", "end"]) -> State:
        """What the operator's media server has seen; returns the call's state after it.

        Late news of a call that has ended changes nothing.

        Raises:
            Refused: not_found, this node knows no such call; wrong_state, it is not answered yet.
        """
        host = self._registry.find(call_id)
        if host is not None:
            host.feed(inputs.MediaHook(kind))
            return host.call.state
        if self._registry.ended(call_id) is None:
            raise Refused(Code.NOT_FOUND, "There is no such live call.", field="call")
        return State.ENDED

    def ice_servers(self, user_id: UUID, call_id: UUID) -> list[IceServer]:
        """Credentials for a party of a live call.

        Raises:
            Refused: not_found, not_your_call, call_over.
        """
        self._live(user_id, call_id)
        return ice_servers(self._turn, user_id, call_id, self._clock())

    # -- sockets

    def socket_back(self, device: Device) -> None:
        """The device has a socket again; if it is a leg of a live call, the call hears of it."""
        host = self._registry.of_user(device.user_id)
        if host is None:
            return
        self._circle.is_here(host, device.user_id, device.id)
        device.in_call = self._is_leg(host, device)
        if device.in_call:
            host.take(inputs.SocketBack(host.party(device.user_id), device.id))

    def socket_lost(self, device: Device, *, bye: bool) -> None:
        """A leg's device is gone; one that said `bye` is not waited for, and one that was sent away
        is not missed."""
        host = self._registry.of_user(device.user_id)
        if host is None or not self._is_leg(host, device):
            return
        # One that is on another node by now has only left its older socket here.
        if self._circle.is_elsewhere(host, device.user_id, device.id):
            return
        party = host.party(device.user_id)
        if bye:
            host.take(inputs.HungUp(party))
            return
        news = inputs.SocketMoving if device.moving else inputs.SocketLost
        host.take(news(party, device.id))

    def closed(self, host: Host) -> None:
        """A call is over: its devices are idle again."""
        for party in Party:
            leg = leg_of(host.call, party)
            if leg.device is not None:
                self._fanout.mark(leg.profile.user_id, leg.device, in_call=False)

    def over(self, user_id: UUID, call_id: UUID) -> Refused:
        """The refusal for a call that is not live: call_over with its end, or not_found."""
        host = self._registry.find(call_id)
        call = host.call if host is not None else self._registry.ended(call_id)
        if call is None:
            return Refused(Code.NOT_FOUND, "There is no such live call.", field="call")
        if side(call, user_id) is None:
            return Refused(Code.NOT_YOUR_CALL, "You are not a party of this call.", field="call")
        details: dict[str, object] = {"reason": call.reason, "by": call.by}
        if call.final is not None:
            details["final"] = msgspec.to_builtins(call.final)
        return Refused(Code.CALL_OVER, "The call is over.", details=details)

    def _live(self, user_id: UUID, call_id: UUID) -> tuple[Host, Party]:
        host = self._registry.find(call_id)
        if host is None or host.call.state is State.ENDED:
            raise self.over(user_id, call_id)
        return host, host.party(user_id)

    def _is_leg(self, host: Host, device: Device) -> bool:
        party = host.party(device.user_id)
        leg = leg_of(host.call, party)
        return leg.device == device.id

    async def _stored_final(self, user_id: UUID, call_id: UUID) -> Final:
        ended = self._registry.ended(call_id)
        if ended is not None and ended.final is not None and side(ended, user_id) is not None:
            return ended.final
        row = await within(READ_S, self._read(user_id, call_id))
        if row is None or row.ended_ms is None:
            raise Refused(Code.NOT_FOUND, "There is no such call.", field="call")
        return final_of(row)

    async def _read(self, user_id: UUID, call_id: UUID) -> calls.CallRow | None:
        async with self._pool.acquire() as conn:
            return await calls.read_call(conn, user_id, call_id)


def side(call: Call, user_id: UUID) -> Party | None:
    if call.caller.profile.user_id == user_id:
        return Party.CALLER
    if call.callee.profile.user_id == user_id:
        return Party.CALLEE
    return None
