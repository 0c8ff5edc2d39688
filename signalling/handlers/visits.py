"""Devices here whose calls are run by other nodes: their commands, their sockets, their welcome."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import msgspec

from signalling.calls.asking import away
from signalling.calls.finder import Finder
from signalling.calls.guests import Guest, Guests
from signalling.calls.records import final_of
from signalling.codes import Code, Refused, State
from signalling.commands import Frame
from signalling.events import Snapshot
from signalling.handlers.remote import Forwarder
from signalling.nodes import parcels
from signalling.nodes.exchange import Exchange
from signalling.nodes.fanout import Fanout, Held
from signalling.nodes.parcels import News, Over, Owns, SocketNews
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub
from storage import calls
from storage.errors import Unavailable
from storage.pool import Pool, within

log = logging.getLogger(__name__)

READ_S = 3.0
ATTACH_S = 1.0
ATTACHES_MAX = 3
TASKS_MAX = 5_000
# What was sent before has come by then.
LATE_S = 1.0
# By then whoever takes over the calls of a node that is gone has said so.
LEFT_S = 5.0

_snapshots: msgspec.json.Decoder[Snapshot] = msgspec.json.Decoder(Snapshot)


class Visit(msgspec.Struct):
    """A device that is to be welcomed: what other nodes have told it meanwhile, and its live call
    if one of them runs it, as the device sees that."""

    held: Held
    view: Snapshot | None = None
    resumed: bool = False


class Visits:
    def __init__(
        self,
        *,
        pool: Pool,
        exchange: Exchange,
        fanout: Fanout,
        hub: Hub,
        guests: Guests,
        finder: Finder,
        forwarder: Forwarder,
        address: str,
    ) -> None:
        self._pool = pool
        self._exchange = exchange
        self._fanout = fanout
        self._hub = hub
        self._guests = guests
        self._finder = finder
        self._forwarder = forwarder
        self._address = address
        self._tasks: set[asyncio.Task[None]] = set()
        self.alone = exchange.bus.alone
        # Sockets are closed because this node goes away.
        self.moving = False
        exchange.on(Owns, self._owns)
        exchange.on(Over, self._over)
        exchange.on(parcels.Replaced, lambda _, it: hub.supersede(it.user_id, it.device, it.at_ms))
        exchange.on_nodes(left=self._left, gap=self._gap)
        guests.lost = self._lost

    # -- connecting

    def expect(self, user_id: UUID, device: str) -> Visit | None:
        """From now on what other nodes tell the device is kept for it."""
        return None if self.alone else Visit(self._fanout.hold(user_id, device))

    async def attach(self, visit: Visit) -> None:
        """Find the live call of the user, if another node runs it; that node tells us of it from
        now on.

        Raises:
            Refused: unavailable, it does not answer.
        """
        user_id, device = visit.held.user_id, visit.held.device
        try:
            for _ in range(ATTACHES_MAX):
                before = self._guests.of_user(user_id)
                found = await self._finder.of_user(user_id)
                if found is None and before is not None:
                    self._guests.lose(before)  # Its end has not come here.
                if found is None or found[1] == self._address:
                    return
                call_id, node = found
                view = await self._ask(node, parcels.Attach(call_id, user_id, device), visit.held)
                if view is not None:
                    visit.view = None if view.state is State.ENDED else view
                    return
        except Unavailable:
            pass
        raise away()

    async def _ask(self, node: str, question: parcels.Attach, held: Held) -> Snapshot | None:
        def heard(_: bytes) -> None:
            held.clear()  # All that came before is in the snapshot.

        try:
            answer = await self._exchange.ask(node, question, timeout_s=ATTACH_S, heard=heard)
        except Refused:
            guest = self._guests.find(question.call)
            if guest is not None:
                self._guests.lose(guest)  # It has passed the call on.
            return None
        except Unavailable:
            return None  # It is gone, or cannot be reached; other devices here go by what is known.
        return _snapshots.decode(answer)

    def welcomed(self, device: Device, visit: Visit) -> None:
        """The welcome is queued: what came meanwhile follows it."""
        view = visit.view
        if view is not None:
            device.in_call = view.you == "active"
        if not visit.resumed:  # A session that waited has kept them itself.
            self._fanout.release(visit.held, None if view is None else view.id)

    def welcome_here(self, device: Device) -> None:
        """A device was welcomed: older sockets of it, on other nodes, are to go."""
        if not self.alone:
            replaced = parcels.Replaced(device.user_id, device.id, device.since_ms)
            self._exchange.bus.post_user(device.user_id, parcels.encode(replaced))

    def back(self, device: Device) -> None:
        """A device has a socket again, or for the first time."""
        self._tell(device, "back")

    def lost(self, device: Device, *, bye: bool) -> None:
        if bye:
            self._tell(device, "bye")
        elif device.in_call:
            self._tell(device, "moving" if self.moving or device.moving else "lost")
        guest = self._guests.of_user(device.user_id)
        if guest is not None and guest.node not in self._exchange.bus.peers():
            self._drop(guest)

    def _tell(self, device: Device, news: News) -> None:
        guest = self._guests.of_user(device.user_id)
        if guest is None:
            return
        parcel = SocketNews(device.user_id, device.id, guest.call_id, news)
        if guest.node in self._exchange.bus.peers():
            self._exchange.send(guest.node, parcel)
        else:
            self._start(self._tell_later(guest, parcel))

    async def _tell_later(self, guest: Guest, parcel: SocketNews) -> None:
        try:
            node = await self._finder.find(guest.call_id)
        except Unavailable:
            return  # Who takes the call over asks where its legs are.
        if node is not None and node != self._address:
            self._exchange.send(node, parcel)

    # -- commands

    def forward(
        self, device: Device, frame: Frame, call_id: UUID, here: Callable[[], None]
    ) -> None:
        """Send a command to the node that runs its call; `here` does it if that is this one.

        Raises:
            Refused: unavailable.
        """
        frame = msgspec.structs.replace(frame, call=call_id)
        guest = self._guests.find(call_id)
        if guest is not None and guest.node in self._exchange.bus.peers():
            self._forwarder.forward(device, frame, guest.node)
        elif len(self._tasks) >= TASKS_MAX:
            raise away()
        else:
            self._start(self._seek(device, frame, call_id, here))

    async def _seek(
        self, device: Device, frame: Frame, call_id: UUID, here: Callable[[], None]
    ) -> None:
        try:
            try:
                node = await self._finder.find(call_id)
            except Unavailable:
                raise away() from None
            if node is None:
                over = await self._ended(device.user_id, call_id)
                if over is not None and frame.type != "call_end":
                    over.field = "data.conversation" if frame.type.startswith("chat_") else None
                    raise over
            if node is None or node == self._address:
                here()
            else:
                self._forwarder.forward(device, frame, node)
        except Refused as refused:
            device.fail(frame.id, refused)
        except Exception:
            log.exception("a command could not be passed on", extra={"call_id": str(call_id)})
            device.fail(frame.id, away())

    async def _ended(self, user_id: UUID, call_id: UUID) -> Refused | None:
        """The refusal for a call that has ended on another node."""
        try:
            row = await within(READ_S, self._read(user_id, call_id))
        except Unavailable:
            raise away() from None
        if row is None or row.state != State.ENDED:
            return None
        details: dict[str, object] = {
            "reason": row.reason,
            "by": row.ended_by,
            "final": msgspec.to_builtins(final_of(row)),
        }
        return Refused(Code.CALL_OVER, "The call is over.", details=details)

    async def _read(self, user_id: UUID, call_id: UUID) -> calls.CallRow | None:
        async with self._pool.acquire() as conn:
            return await calls.read_call(conn, user_id, call_id)

    # -- what owners say

    def _owns(self, node: str, given: Owns) -> None:
        if not self._guests.learn(node, given):
            return
        for user_id in given.users:
            for device in self._hub.devices(user_id):
                if not device.in_call:
                    continue
                if given.fresh:
                    self._hub.renew(device)
                else:
                    news = SocketNews(user_id, device.id, given.call, "back")
                    self._exchange.send(node, news)

    def _over(self, _: str, given: Over) -> None:
        guest = self._guests.find(given.call)
        self._guests.over(given.call, given.claim)
        if guest is None or self._guests.find(given.call) is not None:
            return
        for user_id in guest.users:
            if self._guests.of_user(user_id) is None:
                for device in self._hub.devices(user_id):
                    device.in_call = False

    def _left(self, node: str) -> None:
        """Who takes over the calls of that node tells those nodes that have devices of theirs."""
        for guest in self._guests.all():
            if guest.node == node:
                self._drop(guest)
        if any(guest.node == node for guest in self._guests.all()):
            self._start(self._look_after(node))

    async def _look_after(self, node: str) -> None:
        """Nobody may know that the calls of a node that is gone have devices here; and if it comes
        back, what it has said meanwhile is lost, also of their ends."""
        await asyncio.sleep(LEFT_S)
        for guest in self._guests.all():
            if guest.node == node:
                self._guests.forget(guest.call_id)
                self._close(guest)

    def _lost(self, guest: Guest) -> None:
        self._start(self._look_for(guest))

    async def _look_for(self, guest: Guest) -> None:
        """The other devices of a call whose end may have been lost on its way here."""
        await asyncio.sleep(LATE_S)
        if not self._guests.has_heard(guest):
            self._close(guest)

    def _close(self, guest: Guest) -> None:
        """Have the devices of the call's parties connect anew: they are told what is so."""
        self._hub.renew_all(guest.users)

    def _drop(self, guest: Guest) -> None:
        """Nobody would tell this node of the end."""
        if guest.node is not None and not any(map(self._hub.devices, guest.users)):
            self._guests.forget(guest.call_id)

    def _gap(self) -> None:
        """What was told of calls elsewhere may be missing, also their end: their devices connect
        anew, and their owners are asked."""
        for guest in self._guests.all():
            self._close(guest)
            if guest.node is not None:
                self._guests.forget(guest.call_id)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        self._forwarder.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
