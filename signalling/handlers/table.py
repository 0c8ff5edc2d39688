"""Which command goes to which handler, and the desk that the sockets talk to.

A handler returns what `ok` carries, or None for a report that is not answered. One that must wait
is a coroutine; the socket goes on meanwhile.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Protocol
from uuid import UUID

import msgspec

from signalling.calls.asking import away
from signalling.calls.records import recent_of
from signalling.codes import Code, Party, Refused
from signalling.commands import ChatRead, ChatSend, ChatTyping, Command, Frame
from signalling.core.views import snapshot
from signalling.events import RecentCall, Shape, Welcome, WelcomeLimits
from signalling.frames import about, decode_data
from signalling.handlers import calls, chat, watching
from signalling.handlers.context import Context
from signalling.handlers.remote import RemoteDevice
from signalling.handlers.sender import Sender
from signalling.handlers.visits import Visit
from signalling.limits import RECENT_CALLS_MS, CallLimits, SocketLimits
from signalling.nodes.bus import Presence
from signalling.sockets.device import Device
from signalling.sockets.identity import Identity
from storage import calls as stored
from storage import providers
from storage.errors import Fenced, Refusal, Unavailable
from storage.ids import new_id
from storage.pool import is_lost, read_now_ms, within

log = logging.getLogger(__name__)

Handler = Callable[[Context, Any, Frame, Any], Shape | Coroutine[Any, Any, Shape] | None]

TABLE: dict[str, Handler] = {
    "call_request": calls.request,
    "call_ringing": calls.ringing,
    "call_accept": calls.accept,
    "call_reject": calls.reject,
    "call_end": calls.end,
    "call_take": calls.take,
    "signal": calls.signal,
    "media_connected": calls.media_connected,
    "media_lost": calls.media_lost,
    "media_stats": calls.media_stats,
    "media_state": calls.media_state,
    "ice_servers": calls.servers,
    "chat_send": chat.send,
    "chat_read": chat.read,
    "chat_typing": chat.typing,
    "presence_set": watching.set_presence,
    "presence_watch": watching.watch,
}

# Whatever call their frame may name.
OF_THIS_NODE = frozenset({"call_request", "presence_set", "presence_watch"})
IN_CHAT = (ChatSend, ChatRead, ChatTyping)
READ_S = 4.0
ENDED = "This session has been ended; log in again."
TASKS_MAX = 5_000
PROTOCOL = 1


class Prepared(msgspec.Struct):
    """What a welcome needs from the database, and from the node that runs the user's call.

    `now_ms` is the database's clock at the beginning, where there are other nodes.
    """

    recent: list[RecentCall]
    presence: tuple[str, str | None] | None
    now_ms: int = 0
    visit: Visit | None = None


class Doorman(Protocol):
    """How the deployment reads its tokens and knows its sessions."""

    async def authenticate(self, token: str) -> Identity:
        """
        Raises:
            Refused: as `Desk.authenticate`.
        """
        ...

    def is_live(self, session_id: UUID) -> bool:
        """Whether this session has not been ended."""
        ...


class CallDesk:
    """Everything behind the sockets."""

    def __init__(
        self,
        *,
        doorman: Doorman,
        presence: Presence,
        socket_limits: SocketLimits,
        call_limits: CallLimits,
    ) -> None:
        self._doorman = doorman
        self._presence = presence
        self._socket_limits = socket_limits
        self._call_limits = call_limits
        self._tasks: set[asyncio.Task[None]] = set()
        # How many devices of each user are being welcomed: others may know of them already.
        self._coming: Counter[UUID] = Counter()

    def connect(self, context: Context) -> None:
        """The hub needs a desk before the context, which has the hub, exists."""
        self._context = context

    async def authenticate(self, token: str) -> Identity:
        return await self._doorman.authenticate(token)

    async def prepare(self, identity: Identity, device: str) -> Prepared:
        self._coming[identity.user_id] += 1
        try:
            return await self._prepare(identity, device)
        except BaseException:
            self._came(identity.user_id)
            raise

    async def _prepare(self, identity: Identity, device: str) -> Prepared:
        context, user_id = self._context, identity.user_id
        # In this order: calls that come as soon as others know of the user are not missed.
        visit = context.visits.expect(user_id, device)
        if not context.hub.devices(user_id):
            self._presence.arrived(user_id)
            await self._presence.known(user_id)
        try:
            prepared = await within(READ_S, self._read(user_id))
        except Unavailable as fault:
            raise Refused(Code.UNAVAILABLE, fault.message) from None
        if visit is not None:
            await context.visits.attach(visit)
            prepared.visit = visit
        # The hub closes the sockets of a session that ends, but does not know this one yet.
        if not self._doorman.is_live(identity.session_id):
            raise Refused(Code.UNAUTHORIZED, ENDED)
        return prepared

    async def _read(self, user_id: UUID) -> Prepared:
        since_ms = self._context.clock() - RECENT_CALLS_MS
        async with self._context.pool.acquire() as conn:
            now_ms = 0 if self._context.visits.alone else await read_now_ms(conn)
            rows = await stored.recent_calls(conn, user_id, since_ms)
            provider = await providers.read_provider(conn, user_id)
        recent = [
            recent_of(row, Party.CALLER if row.caller.user_id == user_id else Party.CALLEE)
            for row in rows
        ]
        presence = None
        if provider is not None:
            presence = (provider.availability, provider.status_message)
        return Prepared(recent, presence, now_ms)

    def welcome(self, device: Device, prepared: object) -> Welcome:
        assert isinstance(prepared, Prepared)
        assert device.identity is not None
        context, limits = self._context, self._socket_limits
        now_ms = context.clock()
        live = context.actions.live_call(device.user_id, device.id)
        if live is None and prepared.visit is not None:
            live = prepared.visit.view
        if prepared.visit is not None:
            prepared.visit.resumed = device.resumed
        if not device.resumed:
            context.board.unwatch(device)  # A new session watches nobody yet.
        return Welcome(
            session=device.session,
            secret=device.secret,
            resumed=device.resumed,
            protocol=PROTOCOL,
            features=[],
            now=now_ms,
            user=device.identity.profile,
            ping_ms=limits.ping_idle_ms,
            dead_ms=limits.dead_idle_ms,
            ping_call_ms=limits.ping_call_ms,
            dead_call_ms=limits.dead_call_ms,
            limits=WelcomeLimits(
                frame_bytes=limits.frame_bytes_max,
                send_queue_bytes=limits.send_queue_bytes_max,
                sdp_bytes=self._call_limits.sdp_bytes_max,
                candidates=self._call_limits.candidates_max,
            ),
            call=msgspec.UNSET if live is None else live,
            recent=prepared.recent,
            replay_to=device.seq if device.resumed else msgspec.UNSET,
        )

    def attached(self, device: Device, prepared: object) -> None:
        assert isinstance(prepared, Prepared)
        context = self._context
        device.since_ms = prepared.now_ms
        if prepared.visit is not None:
            context.visits.welcomed(device, prepared.visit)
        if prepared.presence is not None:
            context.board.learned(device.user_id, *prepared.presence)
        context.visits.welcome_here(device)
        if context.registry.of_user(device.user_id) is not None:
            context.actions.socket_back(device)
        else:
            context.visits.back(device)
        self._came(device.user_id)

    def dismissed(self, identity: Identity) -> None:
        self._came(identity.user_id)

    def _came(self, user_id: UUID) -> None:
        """A device has been welcomed, or will not be."""
        self._coming[user_id] -= 1
        if not self._coming[user_id]:
            del self._coming[user_id]
        self._stay(user_id)

    def lost(self, device: Device, *, bye: bool) -> None:
        context = self._context
        self._stay(device.user_id)
        if context.registry.of_user(device.user_id) is not None:
            context.actions.socket_lost(device, bye=bye)
        else:
            context.visits.lost(device, bye=bye)
        context.board.changed(device.user_id)

    def ended(self, device: Device) -> None:
        self._context.board.unwatch(device)
        self._stay(device.user_id)

    def _stay(self, user_id: UUID) -> None:
        """Tell the other nodes what is left of a user here."""
        hub = self._context.hub
        if hub.devices(user_id) or user_id in self._coming:
            return
        if hub.sessions(user_id):
            self._presence.waits(user_id)
        else:
            self._presence.left(user_id)

    def receive(self, device: Device, frame: Frame) -> None:
        data = decode_data(frame)
        visits = self._context.visits
        if visits.alone and not visits.moving:
            self._apply(device, frame, data)
            return
        call_id = data.conversation if isinstance(data, IN_CHAT) else frame.call
        if call_id is None or frame.type in OF_THIS_NODE or self.is_known(call_id):
            self._apply(device, frame, data)
            return
        if visits.alone:
            raise away()
        visits.forward(device, frame, call_id, lambda: self._apply(device, frame, data))

    def is_known(self, call_id: UUID) -> bool:
        """Whether a call is this node's to speak of; on its way down it lets its calls go."""
        visits, registry = self._context.visits, self._context.registry
        if visits.alone and not visits.moving:
            return True
        return registry.find(call_id) is not None or registry.ended(call_id) is not None

    def receive_from_afar(self, device: RemoteDevice, frame: Frame) -> None:
        """As `receive`, for a device of another node and a call of this one."""
        self._apply(device, frame, decode_data(frame))

    def _apply(self, device: Device | RemoteDevice, frame: Frame, data: Command) -> None:
        handler = TABLE.get(frame.type)
        if handler is None:  # hello, ping, ack and bye are the socket's own
            raise Refused(Code.WRONG_STATE, f"{frame.type} is not for now.", field="type")
        try:
            answer = handler(self._context, device, frame, data)
        except Refused as refused:
            raise self._with_snapshot(device, frame, refused) from None
        if answer is None:
            return
        if isinstance(answer, Shape):
            if frame.id is not None:
                device.ok(frame.id, answer)
            return
        if len(self._tasks) >= TASKS_MAX:
            answer.close()
            raise Refused(Code.UNAVAILABLE, "The server is busy.", retry_after_ms=1_000)
        task = asyncio.create_task(self._finish(device, frame, answer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(
        self, device: Sender, frame: Frame, answer: Coroutine[Any, Any, Shape]
    ) -> None:
        try:
            shape = await answer
        except Refused as refused:
            device.fail(frame.id, self._with_snapshot(device, frame, refused))
        except Refusal as refusal:
            device.fail(frame.id, of_storage(refusal))
        except Exception as error:
            if is_lost(error) or isinstance(error, MemoryError):
                device.fail(frame.id, unavailable())
                return
            incident = str(new_id())
            log.exception(
                "a command failed",
                extra={**whose(device), **about(frame), "incident": incident},
            )
            device.fail(
                frame.id,
                Refused(
                    Code.INTERNAL,
                    "Something went wrong on our side.",
                    details={"incident": incident},
                ),
            )
        else:
            if frame.id is not None:
                device.ok(frame.id, shape)

    def _with_snapshot(self, device: Sender, frame: Frame, refused: Refused) -> Refused:
        """A wrong_state carries the state that is right."""
        if refused.code is not Code.WRONG_STATE or frame.call is None:
            return refused
        host = self._context.registry.find(frame.call)
        if host is not None and device.user_id in host.users():
            view = snapshot(host.call, host.party(device.user_id), device.id, self._context.clock())
            refused.details["call"] = view
        return refused

    async def stop(self) -> None:
        """Let commands that are being answered finish, for a moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
        for task in self._tasks:
            task.cancel()


def whose(device: Sender) -> dict[str, str]:
    return {"user_id": str(device.user_id), "device_id": device.id}


def unavailable() -> Refused:
    return Refused(
        Code.UNAVAILABLE, "Nothing was done; send the same command again.", retry_after_ms=1_000
    )


def of_storage(refusal: Refusal) -> Refused:
    """A refusal of the floor in the words of the wire."""
    if isinstance(refusal, (Unavailable, Fenced)):
        return unavailable()
    try:
        code = Code(refusal.code)
    except ValueError:
        code = Code.WRONG_STATE
    return Refused(code, refusal.message, details=dict(refusal.details))
