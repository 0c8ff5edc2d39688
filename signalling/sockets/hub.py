"""The devices and sockets of this node: who is connected, caps, sweep, drain."""

import asyncio
import ipaddress
import itertools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol
from uuid import UUID

from signalling.codes import Close, Code, Refused
from signalling.commands import Hello
from signalling.events import Draining
from signalling.frames import Encoded, encode_event
from signalling.limits import SocketLimits
from signalling.sockets.desk import Desk
from signalling.sockets.device import Device, Link
from signalling.sockets.identity import Identity
from signalling.sockets.naps import nap
from signalling.sockets.resume import Resumes, Rings

log = logging.getLogger(__name__)

SWEEP_S = 1.0
SWEEP_PARTS = 10
NOBODY: dict[str, Device] = {}
FORGET_MS = 600_000
# A client that invents a new device id for every connection must not fill the memory.
KNOWN_PER_USER_MAX = 20
CLOSED_WAIT_S = 5.0


class Socket(Link, Protocol):
    """An open socket, welcomed or not."""

    device: Device | None


class Hub:
    """`start` and `stop` frame its one task, the sweep; `sweep` may be called by itself."""

    def __init__(
        self,
        desk: Desk,
        limits: SocketLimits,
        clock: Callable[[], int],
        *,
        sockets_max: int = 20_000,
        awake: Callable[[], None] = lambda: None,
    ) -> None:
        """`awake` is called ten times a second, also while nothing is swept."""
        self._desk = desk
        self._limits = limits
        self._clock = clock
        self._sockets_max = sockets_max
        self._awake = awake
        # By the number of the user's id: UUIDs hash and compare themselves in Python.
        self._users: dict[int, dict[str, Device]] = {}
        # Each with a number that says which of them were there first.
        self._sockets: dict[Link, int] = {}
        self._numbers = itertools.count(1)
        self._addresses: dict[str, int] = {}
        self._connected = 0
        self._rings = Rings(limits)
        self.resumes = Resumes()
        self._sweeper: asyncio.Task[None] | None = None
        self._emptied: asyncio.Event | None = None

    # -- what the rest of the node asks ------------------------------------------------------

    @property
    def count(self) -> int:
        """Connected devices."""
        return self._connected

    @property
    def sockets(self) -> int:
        """Open sockets, those in their handshake included."""
        return len(self._sockets)

    @property
    def rings(self) -> int:
        """Devices that have events which they have not acknowledged."""
        return self._rings.count

    @property
    def ring_bytes(self) -> int:
        """The size of those events."""
        return self._rings.size_bytes

    def get(self, user_id: UUID, device_id: str) -> Device | None:
        """A known device, connected or not."""
        return self._users.get(user_id.int, NOBODY).get(device_id)

    def devices(self, user_id: UUID) -> list[Device]:
        """The connected devices of a user."""
        known = self._users.get(user_id.int, NOBODY)
        return [device for device in known.values() if device.link is not None]

    def sessions(self, user_id: UUID) -> list[Device]:
        """The devices of a user that take events: connected, or gone for a moment."""
        known = self._users.get(user_id.int, NOBODY)
        return [device for device in known.values() if device.session]

    def connected_users(self) -> list[UUID]:
        return list({device.user_id.int: device.user_id for device in self.all_devices()}.values())

    def all_devices(self) -> Iterator[Device]:
        """Every connected device. Nothing may be attached or closed while this runs."""
        for known in self._users.values():
            for device in known.values():
                if device.link is not None:
                    yield device

    def to_user(self, user_id: UUID, event: Encoded, *, re: tuple[str, str] | None = None) -> int:
        """Send to every device of a user that takes events; how many there were.

        `re` is (device id, command id): only that device is told which command caused the event.
        """
        sent = 0
        for device in self.sessions(user_id):
            named = re[1] if re is not None and re[0] == device.id else None
            sent += device.send(event, named)
        return sent

    def close_session(self, session_id: UUID, code: int) -> int:
        """Close every socket of one login; how many there were. What has no socket now, but could
        resume a session of that login, cannot any more."""
        devices = [
            device
            for known in self._users.values()
            for device in known.values()
            if device.session
            and device.identity is not None
            and device.identity.session_id == session_id
        ]
        ended = [device for device in devices if device.link is not None]
        for device in devices:
            if device.link is None:
                self._end_session(device)
        for device in ended:
            device.close(code)
        return len(ended)

    # -- what endpoint and connections ask ---------------------------------------------------

    def full(self, address: str) -> str | None:
        """Why no further socket from this address is taken: `address`, `total` or None."""
        if len(self._sockets) >= self._sockets_max:
            return "total"
        if self._addresses.get(address, 0) >= self._limits.sockets_per_address_max:
            return "address"
        return None

    def opened(self, socket: Socket, address: str) -> None:
        self._sockets[socket] = next(self._numbers)
        self._addresses[address] = self._addresses.get(address, 0) + 1

    def ended(self, socket: Socket, address: str) -> None:
        """The handler of this socket is done: the last word about it."""
        self.detach(socket)
        self._sockets.pop(socket, None)
        left = self._addresses.get(address, 0) - 1
        if left > 0:
            self._addresses[address] = left
        else:
            self._addresses.pop(address, None)
        if not self._sockets and self._emptied is not None:
            self._emptied.set()

    def outrun(self, socket: Socket, identity: Identity, hello: Hello) -> bool:
        """Whether the device has a socket that was opened after this one, and was welcomed first:
        who has it has given this one up."""
        device = self.get(identity.user_id, hello.device.id)
        if device is None or device.link is None:
            return False
        return self._number(device.link) > self._number(socket)

    def _number(self, link: Link) -> int:
        return self._sockets.get(link, 0)

    def attach(self, socket: Socket, identity: Identity, hello: Hello) -> Device:
        """Make this the socket of its device; an older one of the same device is closed 4503.

        The session is the one that `hello` wants to resume, if it may, else a new one.

        A user's device beyond the cap takes the place of the one that has been connected longest
        and is not in a call; that one is closed 4503 as well.

        Raises:
            Refused: rate_limited, when every other device of the user is in a call.
        """
        device = self.get(identity.user_id, hello.device.id)
        older = device.link if device is not None else None
        if older is None:
            self._make_room(identity.user_id)
        if device is None:
            device = self._learn(identity.user_id, hello.device.id)
        socket.device = device
        granted = device.attach(socket, identity, hello)
        if device.resumed:
            self.resumes.resumed += 1
        elif granted:
            self.resumes.fresh += 1
        else:
            self.resumes.refused += 1
        if older is None:
            self._connected += 1
        else:
            older.close(Close.REPLACED)
        return device

    def detach(self, socket: Socket, *, bye: bool = False, over: bool = False) -> None:
        """This socket carries nothing any more. An older socket never detaches a newer one.

        After `bye`, or when it is `over`, its session is not waited for.
        """
        device = socket.device
        if device is None or device.link is not socket:
            return
        device.lose()
        self._connected -= 1
        if bye or over:
            self._end_session(device)
        try:
            self._desk.lost(device, bye=bye)
        except Exception:
            log.exception("telling of a lost device failed", extra=ids(device))

    def supersede(self, user_id: UUID, device_id: str, at_ms: int) -> None:
        """The device has said hello to another node, at `at_ms` by the clock that all share: what
        it has here and is older is over."""
        device = self.get(user_id, device_id)
        if device is None or device.since_ms >= at_ms:
            return
        if device.link is not None:
            device.close(Close.REPLACED)
        elif device.session:
            self._end_session(device)

    def renew(self, device: Device) -> None:
        """What the device was told is not all there was: it connects anew, to a new session."""
        device.send_away()
        if device.session and device.link is None:
            self._end_session(device)

    def renew_all(self, users: Iterable[UUID]) -> None:
        """As `renew`, for every session of these users."""
        for user_id in users:
            for device in self.sessions(user_id):
                self.renew(device)

    def _end_session(self, device: Device) -> None:
        """Of a device without a socket."""
        device.end_session()
        try:
            self._desk.ended(device)
        except Exception:
            log.exception("telling of an ended session failed", extra=ids(device))

    def _make_room(self, user_id: UUID) -> None:
        connected = self.devices(user_id)
        if len(connected) < self._limits.devices_per_user_max:
            return
        idle = [device for device in connected if not device.in_call]
        if not idle:
            raise Refused(Code.RATE_LIMITED, "Too many devices of this user are in a call.")
        min(idle, key=lambda device: device.met_ms).close(Close.REPLACED)

    def _learn(self, user_id: UUID, device_id: str) -> Device:
        known = self._users.setdefault(user_id.int, {})
        if len(known) >= KNOWN_PER_USER_MAX:
            idle = [one for one in known.values() if one.link is None and not one.in_call]
            if idle:
                oldest = min(idle, key=lambda one: one.gone_ms)
                del known[oldest.id]
                self._end_session(oldest)
        device = known[device_id] = Device(
            user_id, device_id, self._limits, self._clock, self._rings
        )
        return device

    # -- life --------------------------------------------------------------------------------

    async def start(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep_on(), name="socket sweep")

    async def stop(self) -> None:
        if self._sweeper is not None:
            self._sweeper.cancel()
            await asyncio.gather(self._sweeper, return_exceptions=True)
            self._sweeper = None

    async def _sweep_on(self) -> None:
        """A part of the users at a time: ten thousand at once would hold up every call. None while
        this node is late itself."""
        while True:
            users = list(self._users)
            part = max(1, -(-len(users) // SWEEP_PARTS))
            for first in range(0, max(1, len(users)), part):
                await nap(SWEEP_S / SWEEP_PARTS, slept=self._awake)
                try:
                    self._sweep(users[first : first + part])
                except Exception:
                    log.exception("the socket sweep failed")

    def sweep(self) -> None:
        """Close what has been silent for too long, forget what has been gone for too long: first
        its session, later the device."""
        self._awake()
        self._sweep(list(self._users))

    def _sweep(self, users: Sequence[int]) -> None:
        now_ms = self._clock()
        silent: list[Link] = []
        gone: list[Device] = []
        over: list[Device] = []
        for number in users:
            for device in self._users.get(number, NOBODY).values():
                link = device.link
                if link is not None:
                    link.check(now_ms)
                    dead_ms = (
                        self._limits.dead_call_ms if device.in_call else self._limits.dead_idle_ms
                    )
                    if now_ms - link.heard_ms >= dead_ms:
                        silent.append(link)
                else:
                    if device.session and not device.away(now_ms):
                        over.append(device)
                    if not device.in_call and now_ms - device.gone_ms >= FORGET_MS:
                        gone.append(device)
                device.drop_answers(now_ms)
        for link in silent:
            link.close(Close.NO_HEARTBEAT)
        for device in over:
            self._end_session(device)
        for device in gone:
            known = self._users[device.user_id.int]
            del known[device.id]
            if not known:
                del self._users[device.user_id.int]

    async def close_all(self, code: int, spread_ms: int, *, retry_ms: int = 1_000) -> None:
        """Tell every device that this node goes away, then close all sockets over `spread_ms`.

        Returns when all are gone (those that do not answer the close are cut after 2 s). Refusing
        newcomers meanwhile is the endpoint's part.
        """
        event = encode_event(Draining(retry_ms=retry_ms), self._clock())
        for device in tuple(self.all_devices()):
            device.send(event)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        waiting = tuple(self._sockets)
        for number, socket in enumerate(waiting):
            ahead_s = began_s + spread_ms / 1000 * number / len(waiting) - loop.time()
            if ahead_s > 0.005:
                await asyncio.sleep(ahead_s)
            socket.close(code)
        for socket in tuple(self._sockets):
            socket.close(code)
        self._emptied = asyncio.Event()
        if self._sockets:
            try:
                async with asyncio.timeout(CLOSED_WAIT_S):
                    await self._emptied.wait()
            except TimeoutError:
                log.warning("sockets left after closing all", extra={"left": len(self._sockets)})


def ids(device: Device) -> dict[str, str]:
    """What a log line may say about a device."""
    return {
        "user_id": str(device.user_id),
        "device_id": device.id,
        "session": device.session,
    }


def address_key(remote: str | None) -> str:
    """What sockets are counted by: the IPv4 address, or the /64 network of an IPv6 address."""
    if remote is None:
        return ""
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return remote
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False))
