"""One device of a user: its socket, its session, and what is counted of it."""

import asyncio
import secrets
import time
from typing import Protocol

import msgspec

from signalling.client.envelope import PROTOCOL, Backoff
from signalling.client.load.checks import Heard, Json, Witness
from signalling.client.load.line import Address, Line, UpgradeRefused
from signalling.client.load.measure import Tally, Violation
from signalling.limits import RATES

WELCOME_S = 20.0
# Well within the server's window for evidence.
STATS_S = 8.0
BYTES_PER_S = 4_000
TRIES_MAX = 5
STOP_FROM = 4_400
# Frames of a device in one call, and how many its bucket holds.
CALL_FRAMES = 16
_EVERY_S = RATES["frames"].every_ms / 1_000
_BUCKET_S = RATES["frames"].burst * _EVERY_S

Awaited = asyncio.Future[Heard]


class Login(msgspec.Struct, frozen=True):
    """A user for the run: the id, and a token that outlives it."""

    user_id: str
    token: str


class Pair(msgspec.Struct, frozen=True):
    """A caller with money and a provider who is online. A `poor` caller can pay for one unit."""

    caller: Login
    callee: Login
    poor: bool = False


class Listener(Protocol):
    """A call in which a device takes part: gets its events, and what goes wrong with it."""

    def take(self, device: "Device", heard: Heard, now_s: float) -> None: ...

    def fail(self, code: str, phase: str) -> None: ...


class Meter:
    """What is counted now. `take` gives it away and begins anew."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.live = 0
        self.users = 0

    def note(self, phase: str, since_s: float) -> None:
        self.tally.note(phase, max(0.0, (time.perf_counter() - since_s) * 1_000))

    def blame(self, violation: Violation) -> None:
        self.tally.blame(violation)

    def take(self) -> Tally:
        taken, self.tally = self.tally, Tally()
        taken.live, taken.users = self.live, self.users
        return taken


class Device:
    """One device of a user, through all its sockets. `leg` is False for one that only watches."""

    def __init__(self, meter: Meter, address: Address, login: Login, name: str, *, leg: bool):
        self.login = login
        self.name = name
        self.witness = Witness(f"{name} of {login.user_id}", meter.blame, leg=leg)
        self.talk: Listener | None = None
        self.on_call = ""  # The call in which media flows.
        self.connected = False
        self._full_s = 0.0
        self._meter = meter
        self._leg = leg
        self._address = address
        self._line: Line | None = None
        self._pending: dict[str, asyncio.Future[Heard]] = {}
        self._welcome: asyncio.Future[Json] | None = None
        self._session: tuple[str, str] | None = None
        self._idle_s = 20.0
        self._in_call_s = 4.0
        self._paused = False
        self._pinged_s = 0.0
        self._proved_s = 0.0
        self._media_s = 0.0
        self._cut = False
        self._closing = False
        self._backoff = Backoff(500, 8_000)
        self._tasks: set[asyncio.Task[None]] = set()
        # The server remembers a device's command ids across runs.
        self._run = secrets.token_hex(4)
        self._count = 0

    async def connect(self, phase: str = "connect") -> Json:
        """Open a socket and say hello, with the session of the last one. The `welcome` data.

        Raises:
            ConnectionError, OSError, TimeoutError: no welcome.
        """
        began_s = time.perf_counter()
        line = await Line.open(self._address)
        line.on_frame = self._frame
        self._line, self._cut = line, False
        self._welcome = asyncio.get_running_loop().create_future()
        line.on_close = lambda code: self._closed(line, code)
        hello: Json = {
            "token": self.login.token,
            "device": {"id": self.name, "platform": "load"},
            "protocol": PROTOCOL,
        }
        if self._session is not None:
            session, secret = self._session
            resume = {"session": session, "secret": secret, "lastSeq": self.witness.seq}
            hello["resume"] = resume
        self._meter.tally.sent += 1
        line.send(msgspec.json.encode({"type": "hello", "data": hello}))
        try:
            async with asyncio.timeout(WELCOME_S):
                welcome = await self._welcome
        except BaseException:
            line.abort()
            raise
        self._meter.note(phase, began_s)
        self.connected, self._paused = True, False
        self._pinged_s = began_s
        self._meter.users += self._leg
        self._session = (welcome["session"], welcome["secret"])
        self._idle_s = welcome["pingMs"] / 1_000 * 0.8
        self._in_call_s = welcome["pingCallMs"] / 1_000 * 0.8
        live = welcome.get("call")
        if live is not None and self.talk is None and live["you"] != "elsewhere":
            self.send(b'{"type":"call_end","call":"%b"}' % live["id"].encode())
        return welcome

    def new_id(self, what: str) -> str:
        self._count += 1
        return f"{what}{self._count}-{self._run}"

    def send(self, frame: bytes) -> None:
        self._meter.tally.sent += 1
        self.witness.sent(frame)
        if self._line is not None:
            self._line.send(frame)

    def command(self, command_id: str, frame: bytes, *, again: bool = False) -> Awaited:
        """Send a frame that has this id; its answer, an `ok` or an `error`. With `again` it goes
        out twice, which must make no difference."""
        answer: Awaited = asyncio.get_running_loop().create_future()
        self._pending[command_id] = answer
        self.send(frame)
        if again:
            self._meter.tally.resent += 1
            self.send(frame)
        return answer

    def media(self, call: str, gen: int = 1) -> None:
        """Report that media flows, and prove it from now on."""
        now_s = time.perf_counter()
        if self.on_call != call:
            self.on_call, self._media_s, self._proved_s = call, now_s, now_s
        self.witness.reported_media(call)
        self.send(
            b'{"type":"media_connected","call":"%b","data":{"gen":%d,"ms":50}}'
            % (call.encode(), gen)
        )

    def cut(self) -> None:
        """Lose the socket, without a word."""
        self._cut = True
        if self._line is not None:
            self._line.abort()

    def pause(self) -> None:
        """Do not read, and do not ask what cannot be heard."""
        self._paused = True
        if self._line is not None:
            self._line.pause()

    def resume(self) -> None:
        self._paused = False
        if self._line is not None:
            self._line.resume()

    def beat(self, now_s: float) -> None:
        """Ping and prove what is due."""
        if not self.connected or self._paused:
            return
        # A caller is a leg, and soon taken for dead, from the request on.
        in_call = bool(self.on_call) or self.talk is not None
        if now_s - self._pinged_s >= (self._in_call_s if in_call else self._idle_s):
            self._pinged_s = now_s
            self.send(
                b'{"type":"ping","ack":%d,"data":{"t":%d}}' % (self.witness.seq, int(now_s * 1e6))
            )
        if self.on_call and now_s - self._proved_s >= STATS_S:
            self._proved_s = now_s
            received = int((now_s - self._media_s) * BYTES_PER_S)
            self.send(
                b'{"type":"media_stats","call":"%b","data":{"inBytes":%d}}'
                % (self.on_call.encode(), received)
            )

    def rested(self, now_s: float) -> bool:
        """Whether the server's bucket has room for the frames of a whole call."""
        return max(self._full_s, now_s) + CALL_FRAMES * _EVERY_S - now_s <= _BUCKET_S

    def tire(self, now_s: float) -> None:
        """A call begins."""
        self._full_s = max(self._full_s, now_s) + CALL_FRAMES * _EVERY_S

    async def close(self) -> None:
        self._closing = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._line is not None and self._line.close_code is None:
            self._line.send(b'{"type":"bye"}')
            self._line.close()

    # -- what comes

    def _frame(self, raw: bytes) -> None:
        now_s = time.perf_counter()
        self._meter.tally.received += 1
        try:
            self._handle(self.witness.heard(raw), now_s)
        except msgspec.DecodeError:
            pass  # The witness has said so.
        except (KeyError, TypeError, ValueError) as fault:
            self.witness.accuse("frames", f"a frame is not as it should be: {fault!r}")

    def _handle(self, heard: Heard, now_s: float) -> None:
        kind = heard.type
        if kind in ("ok", "error"):
            waiting = self._pending.pop(heard.re or "", None)
            if waiting is not None and not waiting.done():
                waiting.set_result(heard)
            elif kind == "error" and heard.re is None:
                self._refused(heard.read())
        elif kind == "pong":
            self._meter.note("ping", heard.read()["t"] / 1e6)
        elif kind == "welcome":
            if self._welcome is not None and not self._welcome.done():
                self._welcome.set_result(heard.read())
        else:
            if kind in ("call_ended", "call_rejected") and heard.call == self.on_call:
                self.on_call = ""
            if self.talk is not None:
                self.talk.take(self, heard, now_s)

    def _refused(self, error: Json) -> None:
        """An error of a frame without an id: reports and signals."""
        code = str(error.get("code"))
        if self.talk is not None:
            self.talk.fail(code, "report")
        else:
            self._meter.tally.error("report", code)

    def _closed(self, line: Line, code: int) -> None:
        if line is not self._line:
            return
        if self.connected:
            self.connected = False
            self._meter.users -= self._leg
        lost = ConnectionError(f"closed_{code}")
        for waiting in (self._welcome, *self._pending.values()):
            if waiting is not None and not waiting.done():
                waiting.set_exception(lost)
                waiting.exception()  # Nobody may be waiting for it.
        self._pending.clear()
        if self._cut or self._closing or self._session is None:
            return
        self._meter.tally.error("socket", f"closed_{code}")
        if self.talk is not None:
            self.talk.fail(f"closed_{code}", "socket")
        if code < STOP_FROM:
            self.revive()

    def revive(self) -> None:
        """Connect again in the background, unless connected or given up."""
        if not (self.connected or self._closing or self._tasks):
            task = asyncio.get_running_loop().create_task(self._come_back())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _come_back(self) -> None:
        for attempt in range(TRIES_MAX):
            await asyncio.sleep(self._backoff.delay_ms(attempt) / 1_000)
            try:
                await self.connect("reconnect")
                return
            except (OSError, TimeoutError) as fault:
                self._meter.tally.error("reconnect", code_of(fault))


def code_of(fault: Exception) -> str:
    """A fault of the network in one word, for the table of errors."""
    if isinstance(fault, UpgradeRefused):
        return f"http_{fault.status}"
    if isinstance(fault, TimeoutError):
        return "timeout"
    text = str(fault)
    return text if text.startswith("closed_") else type(fault).__name__
