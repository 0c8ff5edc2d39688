"""Journals of calls: written behind them, once, and dropped rather than in anybody's way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from uuid import UUID

import msgspec
import pytest

from server.journals import Journals, forget_old
from server.metrics import Metrics
from signalling.calls.host import Accounts, Host
from signalling.calls.journal import unpacked
from signalling.core import inputs
from signalling.core.model import Call
from storage import call_journals
from storage.call_journals import Noted
from storage.pool import Pool
from tests.server.test_call_watch import call, value
from tests.signalling.calls.hosting import Notes
from tests.signalling.harness import FakeTime

__all__ = ["call"]
WAIT_S = 10.0


def host_of(call: Call, number: int = 1, *, notes: int = 3) -> Host:
    """A call that has so many notes."""
    time = FakeTime()
    one = msgspec.structs.replace(call, id=UUID(int=number))
    host = Host(one, Accounts(1, 2, 3), Notes(), time, time.later, claim=number % 2)
    for at_ms in range(notes):
        host.journal.note(at_ms, inputs.Funded(), [])
    return host


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_S):
        while not met():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def kept(pool: Pool, number: int = 1) -> list[call_journals.Kept]:
    async with pool.acquire() as conn:
        return await call_journals.of_call(conn, UUID(int=number))


async def test_journals_are_written_behind_the_calls(pool: Pool, call: Call) -> None:
    journals = Journals(pool, 7, Metrics())
    await journals.start()
    journals.put(host_of(call))
    assert journals.waiting == 1, "putting never waits"
    await until(lambda: journals.waiting == 0)
    [one] = await kept(pool)
    assert [each.name for each in unpacked(one.entries)] == ["funded"] * 3
    assert (one.claim, one.left_out) == (1, 0)
    await journals.stop()


async def test_more_than_a_batch_is_written_in_the_end(pool: Pool, call: Call) -> None:
    journals = Journals(pool, 7, Metrics())
    for number in range(1, 121):
        journals.put(host_of(call, number))
    await journals.stop()
    assert journals.waiting == 0
    assert await pool.fetchval("select count(*) from call_journal") == 120


async def test_what_finds_the_queue_full_is_dropped_and_counted(pool: Pool, call: Call) -> None:
    metrics = Metrics()
    journals = Journals(pool, 7, metrics, notes_max=7)
    for number in range(1, 5):
        journals.put(host_of(call, number))
    assert (journals.waiting, journals.dropped) == (2, 2)
    assert value(metrics, "talktime_call_journals_dropped_total") == 2
    await journals._write()
    journals.put(host_of(call, 5))
    assert (journals.waiting, journals.dropped) == (1, 2), "there is room again"


async def test_what_the_database_refuses_does_not_hold_up_the_rest(
    pool: Pool, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = Journals(pool, 7, Metrics())
    add = call_journals.add

    async def refuse(conn: object, epoch: int, batch: list[Noted]) -> None:
        raise ValueError("no such value")

    monkeypatch.setattr(call_journals, "add", refuse)
    journals.put(host_of(call, 1))
    assert await journals._write() is False
    assert (journals.waiting, journals.dropped) == (0, 1)
    monkeypatch.setattr(call_journals, "add", add)
    journals.put(host_of(call, 2))
    await journals._write()
    assert len(await kept(pool, 2)) == 1


async def test_while_the_database_is_away_they_wait(
    pool: Pool, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    journals = Journals(pool, 7, Metrics())

    async def lose(*_: object) -> None:
        raise OSError("gone")

    with monkeypatch.context() as broken:
        broken.setattr(call_journals, "add", lose)
        journals.put(host_of(call))
        with pytest.raises(OSError, match="gone"):
            await journals._write()
        assert (journals.waiting, journals.dropped) == (1, 0)
        await journals.stop()
        assert journals.waiting == 1, "a stop does not wait for it"
    await journals._write()
    assert len(await kept(pool)) == 1


async def test_journals_are_kept_for_thirty_days(pool: Pool, call: Call) -> None:
    journals = Journals(pool, 7, Metrics())
    for number in (1, 2):
        journals.put(host_of(call, number))
    await journals._write()
    await pool.execute(
        "update call_journal set at = now() - interval '31 days' where call_id = $1", UUID(int=1)
    )
    [chore] = journals.chores()
    assert chore.do is forget_old
    async with pool.acquire() as conn:
        await chore.do(conn)
    assert (await kept(pool, 1), len(await kept(pool, 2))) == ([], 1)
