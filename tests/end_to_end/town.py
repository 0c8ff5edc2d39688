"""People with real phones on a real server: what the tests of whole calls have in common."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

from signalling.client.audio import Tone
from signalling.client.envelope import Backoff, Event
from signalling.client.phone import Phone
from signalling.client.rest import Api
from signalling.client.view import CallView
from signalling.client.wire import Wire
from signalling.sockets.connection import Connection
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.server.running import Running, development, running
from tests.signalling.client.waiting import until

MIA, KAI, PASSWORD = "mia@demo.talktime", "kai@demo.talktime", "talktime-demo"
MIA_HZ, KAI_HZ, TABLET_HZ = 440, 660, 880
SOON = Backoff(first_ms=20, max_ms=60)
STEP_S = 15.0


class Handset:
    """A phone of somebody with all events it has had, in order."""

    def __init__(
        self, api: Api, wire: Wire, user_id: str, hz: int, *, relay_only: bool = False
    ) -> None:
        self.api = api
        self.user_id = user_id
        self.events: list[Event] = []
        self.phone = Phone(
            wire,
            audio=lambda: Tone(hz),
            stats_s=0.3,
            on_change=self.events.append,
            relay_only=relay_only,
        )

    @property
    def call(self) -> CallView:
        assert self.phone.call is not None
        return self.phone.call

    async def until_state(self, state: str) -> None:
        phone = self.phone
        await phone.until(lambda: phone.call is not None and phone.call.state == state, STEP_S)

    async def until_event(self, kind: str, number: int = 1) -> Event:
        await self.phone.until(lambda: len(self.all(kind)) >= number, STEP_S)
        return self.all(kind)[number - 1]

    def all(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.type == kind]

    async def hears(self, hz: int) -> None:
        """Sound of this pitch, and no other, for the last half second."""
        await until(
            lambda: self.phone.sink.frames > 25 and abs(self.phone.sink.hz() - hz) < hz * 0.03
        )

    async def hears_on(self) -> None:
        """Frames go on coming."""
        frames = self.phone.sink.frames
        await until(lambda: self.phone.sink.frames > frames + 10)

    async def hears_nothing(self) -> None:
        """Silence, while frames go on coming."""
        await until(lambda: self.phone.sink.hz() == 0)
        await self.hears_on()
        assert self.phone.sink.hz() == 0


class Town:
    """A server and the people who use it."""

    def __init__(self, there: Running) -> None:
        self.there = there
        self._open = contextlib.AsyncExitStack()

    async def handset(
        self, email: str, device: str, hz: int, *, relay_only: bool = False
    ) -> Handset:
        url = self.there.site.url
        api = await self._open.enter_async_context(Api(url))
        user = await api.login(email, PASSWORD)
        wire = Wire(url, api.token, device_id=device, backoff=SOON, refresh=api.refresh)
        await self._open.enter_async_context(wire)
        handset = Handset(api, wire, user.id, hz, relay_only=relay_only)
        await self._open.enter_async_context(handset.phone)
        return handset

    def cut(self, handset: Handset) -> None:
        """The network between this device and the server is gone without a word, or still is."""
        wire = handset.phone.wire
        device = self.there.server.live.hub.get(UUID(handset.user_id), wire.device_id)
        assert device is not None
        if isinstance(device.link, Connection):
            device.link._transport.abort()

    async def forget(self, handset: Handset) -> None:
        """As `cut`, and the server keeps nothing for this device to resume."""
        hub = self.there.server.live.hub
        device = hub.get(UUID(handset.user_id), handset.phone.wire.device_id)
        assert device is not None
        session = device.session
        self.cut(handset)
        await until(lambda: device.link is None or device.session != session)
        if device.session == session:
            hub._end_session(device)

    async def kill(self, handset: Handset) -> None:
        """The app dies: its socket breaks without a bye and its media stops."""
        wire = handset.phone.wire
        assert wire._task is not None
        wire._task.cancel()
        self.cut(handset)
        if handset.phone.peer is not None:
            await handset.phone.peer.close()

    async def close(self) -> None:
        await self._open.aclose()


@contextlib.asynccontextmanager
async def a_town(dsn: str, data_dir: Path) -> AsyncIterator[Town]:
    """A town; when all have left it, nothing of their calls is left and the books hold."""
    async with running(dsn, development(data_dir)) as there:
        opened = Town(there)
        yield opened
        await opened.close()
        assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def connect(caller: Handset, callee: Handset) -> None:
    """Ring, accept, and both hear each other."""
    await caller.phone.place(callee.user_id)
    await callee.until_event("call_incoming")
    await caller.until_state("ringing")
    await callee.phone.accept()
    for handset in (caller, callee):
        await handset.until_state("connected")
