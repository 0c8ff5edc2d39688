"""The connection between nodes that is kept up for ever."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from time import monotonic

import asyncpg
import pytest

from signalling.nodes import notices
from signalling.nodes.notices import Batch, Notices
from storage import parcels
from storage.errors import Unavailable
from storage.parcels import channel_of
from tests.signalling.nodes.twins import becomes

CHANNEL = channel_of("west.1")


class End:
    """Sends to itself."""

    def __init__(self, dsn: str) -> None:
        self.heard: list[str] = []
        self.waiting: list[str] = []
        self.gave_up = 0
        self.asked: list[int] = []
        self.notices = Notices(dsn, "west.1", heard=self.hear, pack=self.pack, gave_up=self.give_up)

    def hear(self, text: str) -> None:
        self.heard.append(text)
        if text == "stumble":
            raise RuntimeError("a fault of ours")

    def pack(self, most: int) -> Batch | None:
        self.asked.append(most)
        texts, self.waiting = self.waiting[:most], self.waiting[most:]
        return (
            Batch([(CHANNEL, text) for text in texts], len(texts), monotonic()) if texts else None
        )

    def give_up(self, count: int) -> None:
        self.gave_up += count

    def send(self, *texts: str) -> None:
        self.waiting += texts
        self.notices.wake()


@pytest.fixture
async def end(dsn: str) -> AsyncIterator[End]:
    made = End(dsn)
    made.notices.start()
    yield made
    await made.notices.stop()


async def cut(dsn: str) -> None:
    conn = await asyncpg.connect(dsn)
    await conn.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity "
        "where application_name = 'talktime parcels' and datname = current_database()"
    )
    await conn.close()


async def test_all_comes_in_order_a_batch_at_a_time(end: End) -> None:
    texts = [str(number) for number in range(120)]
    end.send(*texts)
    await becomes(lambda: len(end.heard) == 120)
    assert end.heard == texts
    assert max(end.asked) == notices.BATCH_MAX
    assert end.notices.parcels_sent == 120


async def test_a_cut_connection_is_made_again(end: End, dsn: str) -> None:
    end.send("1")
    await becomes(lambda: end.heard == ["1"])
    await cut(dsn)
    end.send("2")
    await becomes(lambda: end.heard[-1] == "2")
    assert set(end.heard) == {"1", "2"}
    assert end.gave_up == 0


async def test_a_cut_that_nobody_tells_of_is_found_by_asking(
    end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notices, "PROBE_S", 0.01)
    asked = asyncio.Event()

    async def notify(conn: object, given: list[tuple[str, str]]) -> None:
        asked.set()
        raise Unavailable("no answer")

    await becomes(lambda: end.notices.connected)
    monkeypatch.setattr(parcels, "notify", notify)
    end.notices.wake()
    await asyncio.wait_for(asked.wait(), 10)
    monkeypatch.undo()
    end.send("1")
    await becomes(lambda: end.heard == ["1"])


async def test_a_batch_that_waited_too_long_is_given_up(
    end: End, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def notify(conn: object, given: list[tuple[str, str]]) -> None:
        monkeypatch.setattr(notices, "STALE_S", 0.0)
        raise Unavailable("no answer")

    await becomes(lambda: end.notices.connected)
    monkeypatch.setattr(parcels, "notify", notify)
    end.send("1", "2")
    await becomes(lambda: end.gave_up == 2)
    assert not end.notices.sending


async def test_only_so_many_go_in_a_second(end: End, monkeypatch: pytest.MonkeyPatch) -> None:
    await becomes(lambda: end.notices.connected)
    monkeypatch.setattr(notices, "PER_S", 40)
    end.send(*(str(number) for number in range(100)))
    await becomes(lambda: len(end.heard) == 100)
    # The first forty may go at once, and then one for each fortieth of a second.
    assert len([most for most in end.asked if most < 20]) > 3


async def test_a_listener_that_raises_does_not_end_it(end: End) -> None:
    end.send("stumble", "1")
    await becomes(lambda: end.heard == ["stumble", "1"])


async def test_what_waits_is_sent_before_the_stop(end: End) -> None:
    await becomes(lambda: end.notices.connected)
    end.send("1")
    await end.notices.stop()
    assert end.waiting == []
    assert end.notices.parcels_sent == 1
