"""The queue: who is pushed, when once more, what is counted, and that nothing comes too late."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from uuid import UUID

import pytest
from msgspec.structs import replace

from server.push.port import SENT, Outcome, Said
from server.push.queue import PER_USER, PushQueue
from signalling.push import Push, Wake
from storage import devices
from storage.devices import Registered, Wish
from storage.ids import new_id
from storage.pool import Pool
from tests.server.push.services import TTL_S, WAKE
from tests.signalling.harness import FakeTime
from tests.storage.test_blocks import made
from tests.storage.test_deletion import open_session

BUSY = Said(Outcome.BUSY, "status 503")


class Service:
    """An adapter whose answers the test gives; `says` of a device is used up from the front."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[tuple[str, int]] = []
        self.says: list[Said] = []
        self.gate: asyncio.Event | None = None
        self.closed = False

    async def send(self, wake: Wake, to: Registered, ttl_s: int) -> Said:
        self.sent.append((to.device_id, ttl_s))
        if self.gate is not None:
            await self.gate.wait()
        return self.says.pop(0) if self.says else SENT

    async def close(self) -> None:
        self.closed = True


class Rig:
    """A queue with a webhook and FCM, for a user `kai` in the database."""

    def __init__(self, pool: Pool, kai: UUID, **limits: float) -> None:
        self.pool, self.kai, self.time = pool, kai, FakeTime(WAKE.expires_at - TTL_S * 1_000)
        self.webhook, self.fcm = Service("webhook"), Service("fcm")
        self.counts: Counter[tuple[str, str]] = Counter()
        self.ringing = True
        self._news = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self.queue = PushQueue(
            pool,
            [self.webhook, self.fcm],
            clock=self.time,
            later=self.time.later,
            observe=self._observe,
            ringing=lambda _: self.ringing,
            **limits,  # type: ignore[arg-type]
        )

    @property
    def wake(self) -> Wake:
        return replace(WAKE, user_id=self.kai, call_id=new_id())

    async def register(self, device: str, provider: str = "webhook") -> UUID:
        wish = Wish(device_id=device, platform="android", provider=provider, target=f"t-{device}")
        async with self.pool.acquire() as conn:
            session = await open_session(conn, self.kai)
            return (await devices.register(conn, self.kai, session, wish)).id

    async def registered(self) -> list[str]:
        async with self.pool.acquire() as conn:
            return sorted(each.device_id for each in await devices.to_wake(conn, self.kai))

    async def until(self, adapter: str, outcome: str, count: int = 1) -> None:
        async with asyncio.timeout(10), self._news:
            await self._news.wait_for(lambda: self.counts[adapter, outcome] >= count)

    def _observe(self, adapter: str, outcome: str) -> None:
        self.counts[adapter, outcome] += 1
        task = asyncio.ensure_future(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()


Make = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def make(pool: Pool) -> AsyncIterator[Make]:
    rigs: list[Rig] = []

    async def begin(**limits: float) -> Rig:
        async with pool.acquire() as conn:
            rig = Rig(pool, await made(conn, "Kai"), **limits)
        rigs.append(rig)
        await rig.queue.start()
        return rig

    yield begin
    for rig in rigs:
        await rig.queue.stop()
        assert rig.webhook.closed
        assert rig.time.armed == []


@pytest.fixture
async def rig(make: Make) -> Rig:
    return await make()


async def test_each_sleeping_device_is_pushed_by_its_own_adapter(rig: Rig) -> None:
    await rig.register("phone", "fcm")
    await rig.register("tab")
    await rig.register("iphone", "apns")  # Not offered any more.
    rig.queue.wake(rig.wake)
    await rig.until("fcm", "sent")
    await rig.until("webhook", "sent")
    assert (rig.fcm.sent, rig.webhook.sent) == ([("phone", TTL_S)], [("tab", TTL_S)])


async def test_a_device_that_rings_by_its_socket_is_not_pushed(rig: Rig) -> None:
    await rig.register("phone")
    await rig.register("tab")
    rig.queue.wake(replace(rig.wake, connected=frozenset({"tab"})))
    await rig.until("webhook", "sent")
    assert rig.webhook.sent == [("phone", TTL_S)]


async def test_a_token_that_is_gone_takes_its_registration_along(rig: Rig) -> None:
    await rig.register("phone")
    await rig.register("tab", "fcm")
    rig.webhook.says = [Said(Outcome.GONE)]
    rig.queue.wake(rig.wake)
    await rig.until("webhook", "gone")
    async with asyncio.timeout(10):
        while await rig.registered() != ["tab"]:
            pass


async def test_a_busy_service_is_asked_once_more_after_the_time_it_wants(rig: Rig) -> None:
    await rig.register("phone")
    rig.webhook.says = [Said(Outcome.BUSY, "status 429", 7.0), BUSY]
    rig.queue.wake(rig.wake)
    await rig.until("webhook", "retried")
    assert rig.time.armed == [rig.time() + 7_000]
    assert rig.time.fire_next(rig.time() + 7_000)
    await rig.until("webhook", "failed")
    assert rig.webhook.sent == [("phone", TTL_S), ("phone", TTL_S - 7)]
    assert rig.time.armed == []
    assert await rig.registered() == ["phone"]


async def test_a_service_that_wants_to_be_asked_too_late_is_not(rig: Rig) -> None:
    await rig.register("phone")
    rig.webhook.says = [Said(Outcome.BUSY, "status 429", float(TTL_S))]
    rig.queue.wake(rig.wake)
    await rig.until("webhook", "failed")
    assert rig.time.armed == []


async def test_a_refusal_is_final_and_is_logged_without_the_token(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    await rig.register("phone")
    rig.webhook.says = [Said(Outcome.REFUSED, "status 400")]
    rig.queue.wake(rig.wake)
    await rig.until("webhook", "refused")
    assert len(rig.webhook.sent) == 1
    assert caplog.messages == ["push refused"]
    assert caplog.records[0].__dict__["said"] == "status 400"
    assert "t-phone" not in str(caplog.records[0].__dict__)


async def test_a_service_that_hangs_is_given_up_and_holds_up_no_other(make: Make) -> None:
    rig = await make(send_s=0.05)
    await rig.register("phone")
    await rig.register("tab", "fcm")
    rig.webhook.gate = asyncio.Event()
    for _ in range(3):
        rig.queue.wake(rig.wake)
    await rig.until("fcm", "sent", 3)
    await rig.until("webhook", "retried", 3)


async def test_nothing_is_sent_when_the_ringing_is_over(rig: Rig) -> None:
    await rig.register("phone")
    rig.queue.wake(replace(rig.wake, expires_at=rig.time()))
    await rig.until("none", "late")
    rig.ringing = False
    rig.queue.wake(rig.wake)
    await rig.until("none", "late", 2)
    assert rig.webhook.sent == []


async def test_no_second_try_for_a_call_that_has_ended(rig: Rig) -> None:
    await rig.register("phone")
    rig.webhook.says = [BUSY]
    rig.queue.wake(rig.wake)
    await rig.until("webhook", "retried")
    rig.ringing = False
    assert rig.time.fire_next(rig.time() + 1_000)
    await rig.until("webhook", "late")
    assert len(rig.webhook.sent) == 1


async def test_a_thousand_rings_make_five_pushes(rig: Rig) -> None:
    await rig.register("phone")
    for _ in range(1_000):
        rig.queue.wake(rig.wake)
    await rig.until("webhook", "sent", PER_USER.burst)
    assert rig.counts["none", "limited"] == 1_000 - PER_USER.burst
    assert len(rig.webhook.sent) == 5


async def test_a_full_queue_drops_the_oldest_and_counts_it(make: Make) -> None:
    rig = await make(queue_max=2)
    for _ in range(5):
        rig.queue.wake(replace(rig.wake, user_id=new_id()))
    assert rig.counts["none", "dropped"] == 3


async def test_a_database_that_is_away_costs_the_push_and_no_more(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    await rig.register("phone")

    async def away(*_: object) -> list[Registered]:
        raise ConnectionError

    monkeypatch.setattr(devices, "to_wake", away)
    rig.queue.wake(rig.wake)
    await rig.until("none", "failed")
    monkeypatch.undo()
    rig.queue.wake(rig.wake)
    await rig.until("webhook", "sent")


async def test_without_adapters_it_is_off(pool: Pool) -> None:
    time = FakeTime()
    queue: Push = PushQueue(
        pool,
        [],
        clock=time,
        later=time.later,
        observe=lambda *_: None,
        ringing=lambda _: True,
    )
    assert not queue.enabled
    assert isinstance(queue, PushQueue)
    await queue.start()
    await queue.stop()
