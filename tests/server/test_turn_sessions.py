"""Whose relays are ended: those of calls that are over, by what the database says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast
from uuid import UUID, uuid4

import pytest

from server import turn_sessions
from server.coturn import Console, CoturnFault
from server.turn_sessions import TurnSessions, calls_of
from signalling.turn import TurnTerms, ice_servers
from storage.pool import Pool
from tests.storage.world import make_world, settle_of

TERMS = TurnTerms(turn_urls=("turn:t",), secret="s")
PLACE = "turn.example:5766"


def name_for(call_id: UUID) -> str:
    return str(ice_servers(TERMS, uuid4(), call_id, 1_800_000_000_000)[0].username)


class Fake:
    """A console with users; it writes down whom it was told to end."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.asked: list[tuple[str, int, str]] = []
        self.ended: list[str] = []
        self.fault: Exception | None = None
        self.looked = asyncio.Event()

    @asynccontextmanager
    async def open(self, host: str, port: int, password: str) -> AsyncIterator[Console]:
        self.asked.append((host, port, password))
        if self.fault is not None:
            raise self.fault
        yield cast(Console, self)

    async def users(self) -> set[str]:
        self.looked.set()
        return set(self.names)

    async def end(self, user: str) -> int:
        self.ended.append(user)
        self.names.discard(user)
        return 2


def test_the_names_of_credentials_say_which_call_they_are_for() -> None:
    call = uuid4()
    ours = name_for(call)
    others = ["", "monitor", "1800000000:kai", f"1800000000:{call}", f"{ours}0", f"x{ours}"]
    assert calls_of([ours, *others]) == {ours: call}


async def test_sessions_of_ended_and_unknown_calls_are_ended_and_no_others(pool: Pool) -> None:
    async with make_world(pool) as world:
        live, over = await world.call(), await world.call()
        await world.combiner.do(settle_of(over, 0))
        stay, go, unknown = name_for(live.call_id), name_for(over.call_id), name_for(uuid4())
        fake = Fake(stay, go, unknown, "monitor")
        counted: list[int] = []
        sessions = TurnSessions(
            pool, [PLACE], "secret", observe=counted.append, open_console=fake.open
        )
        assert await sessions.sweep() is False
        assert sorted(fake.ended) == sorted([go, unknown])
        assert counted == [2, 2]
        assert fake.asked == [("turn.example", 5766, "secret")]


@pytest.mark.parametrize("fault", [CoturnFault("no"), ConnectionRefusedError(), TimeoutError()])
async def test_a_console_that_fails_is_said_once_and_does_not_stop_the_next(
    pool: Pool, fault: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(
        turn_sessions._log, "warning", lambda event, address, why: said.append(address)
    )
    bad, good = Fake(), Fake(name_for(uuid4()))
    bad.fault = fault

    def open_console(host: str, port: int, password: str) -> object:
        return (bad if port == 1 else good).open(host, port, password)

    sessions = TurnSessions(
        pool,
        ["a:1", "[::1]:2"],
        "",
        open_console=open_console,  # type: ignore[arg-type]
    )
    await sessions.sweep()
    await sessions.sweep()
    assert said == ["a:1"]
    assert len(good.ended) == 1
    assert good.asked[0][0] == "::1"
    bad.fault = None
    await sessions.sweep()
    bad.fault = fault
    await sessions.sweep()
    assert said == ["a:1", "a:1"]


async def test_the_end_of_a_call_is_looked_at_at_once(pool: Pool) -> None:
    fake = Fake()
    sessions = TurnSessions(pool, [PLACE], "", open_console=fake.open)
    await sessions.start()
    async with asyncio.timeout(10):
        await fake.looked.wait()
        fake.names.add(name_for(uuid4()))
        fake.looked.clear()
        sessions.kick()
        await fake.looked.wait()
    await sessions.stop()


async def test_without_consoles_nothing_runs(pool: Pool) -> None:
    sessions = TurnSessions(pool, (), "")
    await sessions.start()
    sessions.kick()
    assert sessions._poller._task is None
    await sessions.stop()
