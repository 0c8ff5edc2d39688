"""Devices of people, as an app would use them, on sockets that only remember."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from signalling.codes import Code, Refused
from signalling.commands import Device as DeviceNamed
from signalling.commands import Hello, Resume
from signalling.events import Profile
from signalling.frames import decode_frame, encode_event
from signalling.sockets.device import Device
from signalling.sockets.hub import Hub
from signalling.sockets.identity import Identity
from storage.ids import new_id
from tests.signalling.shapes import fault_of

if TYPE_CHECKING:
    from tests.signalling.harness import Node

WAIT_S = 10.0
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    id: UUID
    name: str
    session_id: UUID = field(default_factory=new_id)


class FakeLink:
    """A socket that remembers what was sent, checked frame by frame."""

    def __init__(self, hub: Hub, now_ms: int) -> None:
        self.hub = hub
        self.heard_ms = now_ms
        self.device: Device | None = None
        self.raw: list[bytes] = []
        self.frames: list[Json] = []
        self.errors: list[Code] = []
        self.closed: int | None = None
        self.came = asyncio.Condition()
        self.seq = 0
        self._notices: set[asyncio.Task[None]] = set()

    def send(self, frame: bytes) -> None:
        decoded = msgspec.json.decode(frame)
        fault = fault_of(decoded)
        assert fault is None, fault
        if decoded["type"] == "welcome":
            self.seq = decoded["seq"]
        elif "seq" in decoded:
            assert decoded["seq"] == self.seq + 1, decoded
            self.seq += 1
        self.raw.append(frame)
        self.frames.append(decoded)
        self._notice()

    def close(self, code: int, why: str = "") -> None:
        if self.closed is None:
            self.closed = int(code)
            self.hub.detach(self, over=code >= 4_400)
            self._notice()

    def erred(self, code: Code) -> None:
        self.errors.append(code)

    def check(self, now_ms: int) -> None:
        """Asked by the sweep whether the peer reads; this one always does."""

    def _notice(self) -> None:
        async def tell() -> None:
            async with self.came:
                self.came.notify_all()

        task = asyncio.get_running_loop().create_task(tell())
        self._notices.add(task)
        task.add_done_callback(self._notices.discard)


class Handset:
    """A device of a person, as an app would use it."""

    def __init__(self, node: "Node", person: Person, name: str) -> None:
        self.node = node
        self.person = person
        self.name = name
        self.link = FakeLink(node.hub, node.time())
        self._session = "", ""
        self._numbers = itertools.count(1)
        self._taken: set[int] = set()

    @property
    def device(self) -> Device:
        device = self.node.hub.get(self.person.id, self.name)
        assert device is not None
        return device

    async def connect(self, *, resume: bool = False) -> Json:
        """A new socket, welcomed; the data of its welcome. `resume` goes on with the session of
        the last one, all of whose events have come."""
        node, desk = self.node, self.node.desk
        profile = Profile(user_id=self.person.id, name=self.person.name)
        identity = Identity(
            user_id=self.person.id,
            session_id=self.person.session_id,
            profile=profile,
            roles=frozenset(),
            expires_ms=node.time() + 900_000,
        )
        prepared = await desk.prepare(identity, self.name)
        last, last_seq = self._session, self.link.seq
        self.link, self._taken = FakeLink(node.hub, node.time()), set()
        wish = Resume(session=last[0], secret=last[1], last_seq=last_seq) if resume else None
        hello = Hello(device=DeviceNamed(id=self.name), protocol=1, resume=wish)
        device = node.hub.attach(self.link, identity, hello)
        device.greet(encode_event(desk.welcome(device, prepared), node.time()))
        desk.attached(device, prepared)
        self._session = device.session, device.secret
        assert self.link.frames[0]["type"] == "welcome", "nothing comes before the welcome"
        welcome: Json = self.link.frames[0]["data"]
        return welcome

    def drop(self, *, bye: bool = False) -> None:
        """The socket is gone."""
        self.node.hub.detach(self.link, bye=bye)

    def say(
        self, kind: str, /, *, call: str | None = None, id: str | None = None, **data: object
    ) -> None:
        """Send a command, as the socket would hand it over."""
        frame: Json = {"type": kind, "data": data}
        if id is not None:
            frame["id"] = id
        if call is not None:
            frame["call"] = call
        self.say_raw(msgspec.json.encode(frame))

    def say_raw(self, raw: bytes) -> None:
        frame, device, node = decode_frame(raw), self.device, self.node
        if frame.id is not None and device.repeated(frame.id):
            return
        wait_ms = device.throttle(frame.type, node.time())
        if wait_ms:
            device.refuse(
                frame.id, Refused(Code.RATE_LIMITED, "Too many frames.", retry_after_ms=wait_ms)
            )
            return
        if frame.id is not None:
            device.expect(frame.id)
        try:
            node.desk.receive(device, frame)
        except Refused as refused:
            device.fail(frame.id, refused)

    async def ask(
        self, kind: str, /, *, call: str | None = None, id: str | None = None, **data: object
    ) -> Json:
        """Send a command and wait for its answer: the whole frame."""
        name = id or f"{self.name}-{next(self._numbers)}"
        self.say(kind, call=call, id=name, **data)
        return await self._wait(lambda frame: frame.get("re") == name and "seq" not in frame)

    async def ok(
        self, kind: str, /, *, call: str | None = None, id: str | None = None, **data: object
    ) -> Json:
        """The data of an `ok`."""
        answer = await self.ask(kind, call=call, id=id, **data)
        assert answer["type"] == "ok", answer
        found: Json = answer["data"]
        return found

    async def refused(
        self, kind: str, /, *, call: str | None = None, id: str | None = None, **data: object
    ) -> Json:
        """The data of an `error`."""
        answer = await self.ask(kind, call=call, id=id, **data)
        assert answer["type"] == "error", answer
        found: Json = answer["data"]
        return found

    async def event(self, kind: str) -> Json:
        """The next event of this type that was not asked for before; the whole frame."""
        return await self._wait(lambda frame: frame["type"] == kind)

    def told(self, *kinds: str) -> list[Json]:
        """Events that have come on this socket so far; of these types, or all but the welcome."""
        return [
            frame
            for frame in self.link.frames
            if "seq" in frame and (frame["type"] in kinds if kinds else frame["type"] != "welcome")
        ]

    def types(self) -> list[str]:
        return [frame["type"] for frame in self.told()]

    async def _wait(self, wanted: Callable[[Json], bool]) -> Json:
        link = self.link

        def find() -> Json | None:
            for number, frame in enumerate(link.frames):
                if number not in self._taken and wanted(frame):
                    self._taken.add(number)
                    return frame
            return None

        async with asyncio.timeout(WAIT_S), link.came:
            while (found := find()) is None:
                await link.came.wait()
        return found
