"""Commands for calls that other nodes run: sent there, done there, answered here."""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Callable
from uuid import UUID

import msgspec

from signalling.calls.guests import Guests
from signalling.codes import Code, Refused
from signalling.commands import Frame
from signalling.events import Shape
from signalling.frames import decode_frame, encode_error, encode_ok
from signalling.limits import SocketLimits
from signalling.nodes.exchange import Exchange
from signalling.nodes.parcels import Answered, Commanded, Missed
from signalling.sockets.answers import Answers
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub

log = logging.getLogger(__name__)

ANSWER_MS = 3_000
LOOK_S = 0.25
REMOTES_MAX = 50_000
FORWARDED_MAX = 50_000
RETRY_MS = 300

_encode_frame = msgspec.json.Encoder().encode
Receive = Callable[["RemoteDevice", Frame], None]


class RemoteDevice:
    """A device whose socket is on another node: what it is answered goes there."""

    def __init__(
        self, user_id: UUID, device_id: str, answers: Answers, exchange: Exchange, node: str
    ) -> None:
        self.user_id = user_id
        self.id = device_id
        self.node = node
        self._answers = answers
        self._exchange = exchange

    def ok(self, re: str | None, data: Shape) -> None:
        self._answer(re, encode_ok(re, data), None)

    def fail(self, re: str | None, refused: Refused) -> None:
        self._answer(re, encode_error(re, refused), refused.code)

    def repeated(self, command_id: str) -> bool:
        """True if this id was received before; its answer goes out again if there is one yet."""
        kept = self._answers.find(command_id)
        if kept is None:
            return False
        if kept[0] is not None:
            self._send(command_id, kept[0], None)
        return True

    def expect(self, command_id: str) -> None:
        self._answers.expect(command_id)

    def _answer(self, re: str | None, answer: bytes, code: Code | None) -> None:
        if re is not None:
            self._answers.keep(re, answer, code)
        self._send(re, answer, code)

    def _send(self, re: str | None, answer: bytes, code: Code | None) -> None:
        parcel = Answered(self.user_id, self.id, re, answer, None if code is None else code.value)
        self._exchange.send(self.node, parcel)


class Remotes:
    """On the node that runs a call: the commands of devices that are elsewhere.

    `has(frame)` says whether the call of a frame is run here, `receive` does what it says, and
    `heard(frame, user_id, device, node)` is told where a device has spoken from.
    """

    def __init__(
        self,
        exchange: Exchange,
        limits: SocketLimits,
        clock: Callable[[], int],
        *,
        has: Callable[[Frame], bool],
        receive: Receive,
        heard: Callable[[Frame, UUID, str, str], None],
    ) -> None:
        self._exchange = exchange
        self._limits = limits
        self._clock = clock
        self._has = has
        self._receive = receive
        self._heard = heard
        self._devices: OrderedDict[tuple[UUID, str], RemoteDevice] = OrderedDict()
        exchange.on(Commanded, self._commanded)

    def __len__(self) -> int:
        return len(self._devices)

    def _commanded(self, node: str, given: Commanded) -> None:
        frame = decode_frame(given.frame)
        if not self._has(frame):
            away = Answered(given.user_id, given.device, frame.id, b"", not_here=frame.call)
            self._exchange.send(node, away)
            return
        device = self._device(given.user_id, given.device, node)
        if frame.id is not None:
            if device.repeated(frame.id):
                return
            device.expect(frame.id)
        self._heard(frame, given.user_id, given.device, node)
        try:
            self._receive(device, frame)
        except Refused as refused:
            device.fail(frame.id, refused)
        except Exception:
            log.exception("a command of another node failed", extra={"type": frame.type})
            device.fail(frame.id, Refused(Code.INTERNAL, "Something went wrong here."))

    def _device(self, user_id: UUID, device_id: str, node: str) -> RemoteDevice:
        key = (user_id, device_id)
        device = self._devices.get(key)
        if device is None:
            answers = Answers(self._limits, self._clock)
            device = RemoteDevice(user_id, device_id, answers, self._exchange, node)
            self._devices[key] = device
            if len(self._devices) > REMOTES_MAX:
                self._devices.popitem(last=False)
        device.node = node
        self._devices.move_to_end(key)
        return device


class Forwarder:
    """On the node that has the device: commands on their way, until they are answered."""

    def __init__(
        self, exchange: Exchange, guests: Guests, hub: Hub, clock: Callable[[], int]
    ) -> None:
        self._exchange = exchange
        self._guests = guests
        self._hub = hub
        self._clock = clock
        # (user, device, command) of each that waits, until when; the queue has them in order.
        self._waiting: dict[tuple[UUID, str, str], int] = {}
        self._deadlines: deque[tuple[int, tuple[UUID, str, str]]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        exchange.on(Answered, self._answered)
        exchange.on(Missed, self._missed)

    def forward(self, device: Device, frame: Frame, node: str) -> None:
        """Send a command to the node that runs its call.

        Raises:
            Refused: unavailable, too much is on its way.
        """
        if frame.id is not None:
            if len(self._waiting) >= FORWARDED_MAX:
                raise Refused(Code.UNAVAILABLE, "The server is busy.", retry_after_ms=RETRY_MS)
            key = (device.user_id, device.id, frame.id)
            self._waiting[key] = self._clock() + ANSWER_MS
            self._deadlines.append((self._waiting[key], key))
            if self._timer is None:
                self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)
        raw = _encode_frame(frame)
        self._exchange.send(node, Commanded(device.user_id, device.id, raw))

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        """Those that were not answered in time are to be sent again."""
        self._timer = None
        now_ms = self._clock()
        while self._deadlines:
            due_ms, key = self._deadlines[0]
            waits = self._waiting.get(key) == due_ms
            if due_ms > now_ms and waits:
                break
            self._deadlines.popleft()
            if waits:
                self._give_back(key)
        if self._deadlines:
            self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._look)

    def _give_back(self, key: tuple[UUID, str, str]) -> None:
        if self._waiting.pop(key, None) is None:
            return
        user_id, device_id, command_id = key
        device = self._hub.get(user_id, device_id)
        if device is not None:
            why = "The call's node has not answered; send the same command again."
            device.fail(command_id, Refused(Code.UNAVAILABLE, why, retry_after_ms=RETRY_MS))

    def _answered(self, node: str, given: Answered) -> None:
        if given.not_here is not None:
            self._guests.not_at(given.not_here, node)
            if given.re is not None:
                self._give_back((given.user_id, given.device, given.re))
            return
        if given.re is not None:
            key = (given.user_id, given.device, given.re)
            if self._waiting.pop(key, None) is None:
                return  # Too late: it was told to send the command again.
        device = self._hub.get(given.user_id, given.device)
        if device is not None:
            code = None if given.code is None else Code(given.code)
            device.answer(given.re, given.answer, code)

    def _missed(self, _: str, given: Missed) -> None:
        """What the devices of this call know may be wrong: they begin anew and are told."""
        if self._guests.admits(given.call, given.claim):
            self._hub.renew_all(given.users)
