"""A device's connection, as PROTOCOL.md says that a client should: sockets, sessions, commands that
are sent again until they are answered. It checks what it is sent."""

from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from tests.simulation.app import App
from tests.simulation.line import Line
from tests.simulation.rows import Account

if TYPE_CHECKING:
    from tests.simulation.world import World

WELCOME_MS = 6_000
PING_MS = 25_000
PING_CALL_MS = 7_000
SILENCE_MS = 60_000
SILENCE_CALL_MS = 15_000
ANSWER_MS = 9_000
STOP_FROM = 4_400
REPLACED = 4_503
KEPT_ANSWERS = 12
REPORTS = ("media_connected", "media_lost")


class Frame(msgspec.Struct):
    type: str
    seq: int | None = None
    re: str | None = None
    call: UUID | None = None
    rev: int | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


class Command:
    """A command that is not answered yet. `raw` is sent unchanged, again and again."""

    def __init__(self, raw: bytes, kind: str, call: UUID | None, data: dict[str, Any]) -> None:
        self.raw = raw
        self.kind = kind
        self.call = call
        self.data = data


_frame = msgspec.json.Decoder(Frame)
_encode = msgspec.json.Encoder().encode


class Phone:
    """`online`: it has a network. `seq` is the last event of the present session."""

    def __init__(self, world: "World", account: Account, name: str, dice: Random) -> None:
        self.world = world
        self.account = account
        self.user_id = account.id
        self.id = name
        self.dice = dice
        self.online = True
        self.line: Line | None = None
        self.ready = False
        self.session: tuple[str, str] | None = None
        self.session_ms = 0
        self.seq = 0
        self.outbox: dict[str, Command] = {}
        self.app = App(self)
        self._answers: dict[str, tuple[int, bytes]] = {}
        self._commands = 0
        self._failures = 0
        self._heard_ms = 0
        self._clocks = 0

    @property
    def now_ms(self) -> int:
        return self.world.time.now_ms

    def soon(self, low_ms: int, high_ms: int, run: Any) -> None:
        self.world.time.later(self.dice.randint(low_ms, high_ms), run)

    # -- sockets

    def connect(self) -> None:
        if self.line is not None or not self.online:
            return
        node = self.world.some_node(self.dice)
        line = self.line = Line(self, node, self.world.number(), self.dice)
        hello = {
            "type": "hello",
            "data": {
                "device": {"id": self.id},
                "protocol": 1,
                "token": str(self.user_id.int),
            },
        }
        line.open(_encode(hello))

        def late() -> None:
            if self.line is line and not self.ready:
                self.drop(told=True)

        self.world.time.later(WELCOME_MS, late)

    def drop(self, *, told: bool) -> None:
        """Give the socket up and come back."""
        line = self.line
        if line is not None:
            line.leave(told=told)
            self._lost()

    def on_closed(self, line: Line, code: int) -> None:
        if self.line is not line:
            return
        # Ours is the newest socket of this device; nobody may say that another replaces it.
        assert code < STOP_FROM or line.node.zombie, f"told to stop: {code}"
        self._lost()

    def _lost(self) -> None:
        self.line = None
        self.ready = False
        self._clocks += 1
        self._failures = min(self._failures + 1, 6)
        pause_ms = min(30_000, 250 * 2**self._failures)
        self.soon(pause_ms // 2, pause_ms * 3 // 2, self.connect)

    def go_offline(self, *, half_open: bool) -> None:
        """The network is gone; the phone is told at once or, if half open, finds out."""
        self.online = False
        self.app.network_changed()
        if self.line is not None:
            self.line.mute = True
            if not half_open:
                self.drop(told=False)

    def go_online(self) -> None:
        if not self.online:
            self.online = True
            self.app.network_changed()
            self._failures = min(self._failures, 1)
            self.connect()

    # -- heartbeat

    def _beat(self) -> None:
        clock = self._clocks
        in_call = self.app.is_leg
        silence_ms = SILENCE_CALL_MS if in_call else SILENCE_MS

        def tick() -> None:
            if clock != self._clocks or self.line is None:
                return
            if self.now_ms - self._heard_ms >= silence_ms:
                self.drop(told=True)
                return
            self.line.send(b'{"type":"ping"}')
            self._beat()

        self.world.time.later(PING_CALL_MS if in_call else PING_MS, tick)

    def hurry(self) -> None:
        """The device has become a leg, or is none any more: it pings in another rhythm."""
        if self.ready:
            self._clocks += 1
            self._beat()

    # -- commands

    def ask(self, kind: str, call: UUID | None = None, /, **data: Any) -> str:
        """Send a command until it is answered."""
        self._commands += 1
        name = f"{self.id}{self._commands}"
        body: dict[str, Any] = {"type": kind, "id": name}
        if call is not None:
            body["call"] = call
        if data:
            body["data"] = data
        command = Command(_encode(body), kind, call, data)
        self.outbox[name] = command
        self._send(name)
        return name

    def report(self, kind: str, call: UUID, /, **data: Any) -> None:
        """Send what is not answered."""
        if self.ready and self.line is not None:
            self.line.send(_encode({"type": kind, "call": call, "data": data}))

    def pending(self, kind: str, call: UUID | None = None) -> bool:
        return any(one.kind == kind and one.call == call for one in self.outbox.values())

    def _send(self, name: str) -> None:
        command = self.outbox.get(name)
        if command is None or not self.ready or self.line is None:
            return
        times = 2 if self.world.faults and self.dice.random() < 0.05 else 1
        for _ in range(times):
            self.line.send(command.raw)

    def resend(self) -> None:
        """An app may send again what was answered already."""
        if self._answers and self.ready and self.line is not None:
            name = self.dice.choice(list(self._answers))
            raw = self.app.sent.get(name)
            if raw is not None:
                self.line.send(raw)

    # -- what the node sends

    def on_frame(self, line: Line, raw: bytes) -> None:
        if self.line is not line:
            return
        self._heard_ms = self.now_ms
        frame = _frame.decode(raw)
        if frame.type == "welcome":
            self._welcome(frame)
        elif frame.seq is not None:
            assert self.ready, "something came before the welcome"
            assert frame.seq == self.seq + 1, ("seq", frame.seq, self.seq)
            self.seq = frame.seq
            self.app.on_event(frame)
        elif frame.type in ("ok", "error"):
            self._answer(frame, raw)

    def _welcome(self, frame: Frame) -> None:
        assert not self.ready
        assert frame.seq == 1
        self.ready = True
        self.seq = 1
        self.session_ms = self.now_ms
        self._failures = 0
        self._clocks += 1
        # Reports are made anew: what was true then may not be so any more.
        for name in [name for name, one in self.outbox.items() if one.kind in REPORTS]:
            del self.outbox[name]
        self.app.on_welcome(frame.data)
        self._beat()
        for name in list(self.outbox):
            self._send(name)

    def _answer(self, frame: Frame, raw: bytes) -> None:
        if frame.re is None:
            assert frame.type == "error", raw
            assert b'"internal"' not in raw, raw
            return  # A report that came too late.
        command = self.outbox.get(frame.re)
        life = -1 if self.line is None else self.line.node.epoch
        if command is None:
            before = self._answers.get(frame.re)
            if before is not None and before[0] == life:
                assert before[1] == raw, ("another answer", before[1], raw)
            return
        if frame.type == "error":
            error = msgspec.json.decode(frame.data)
            if error["code"] in ("unavailable", "rate_limited"):
                name = frame.re
                wait_ms = int(error["retryAfterMs"])
                self.soon(wait_ms, wait_ms + 300, lambda: self._send(name))
                return
            assert error["code"] not in ("internal", "unauthorized"), (command.raw, raw)
        del self.outbox[frame.re]
        self._answers[frame.re] = (life, raw)
        self.app.sent[frame.re] = command.raw
        while len(self._answers) > KEPT_ANSWERS:
            oldest = next(iter(self._answers))
            del self._answers[oldest]
            self.app.sent.pop(oldest, None)
        self.app.on_answer(command, frame)
