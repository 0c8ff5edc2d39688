"""Who starts, keeps, replaces and ends the workers, with small processes in their place."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from server.config import Config
from server.worker import Worker
from server.workers import Workers, WorkersError, check, check_port, make_workers, redis
from tests.server.running import development
from tests.server.settings import clean_environment, production
from tests.server.stand_ins import FAULTY, NEVER_READY, READY, READY_ONCE, STUBBORN, StandIn, lives

__all__ = ["clean_environment"]  # A fixture, in force for every test here.

READY_LINE = "2 workers are ready; SIGHUP replaces them one by one"
DRAINING = "draining: the workers let go of their calls and sockets"


class Stage:
    """`lines` has what people are told."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self.lines: asyncio.Queue[str] = asyncio.Queue()
        say = self.lines.put_nowait
        self._run = asyncio.create_task(
            Workers(workers, say, lambda recovered: say(f"greeted {recovered}")).run()
        )

    async def told(self, line: str) -> None:
        async with asyncio.timeout(20):
            assert await self.lines.get() == line

    async def end(self) -> None:
        async with asyncio.timeout(20):
            await self._run
        assert self.lines.empty()


def tell(number: signal.Signals) -> None:
    os.kill(os.getpid(), number)


def handlers() -> list[Any]:
    # That of SIGINT is put back by the loop's runner.
    return [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGHUP)]


@pytest.fixture(autouse=True)
def hangups() -> Iterator[None]:
    """Under `nohup` they are ignored, and a loop that lets go of a signal leaves the default."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_people_are_greeted_once_and_a_signal_ends_everything(
    number: signal.Signals,
) -> None:
    before = handlers()
    workers = [StandIn(READY, "a"), StandIn(READY, "b")]
    stage = Stage(workers)
    await stage.told("greeted 6")
    await stage.told(READY_LINE)
    tell(number)
    await stage.told(DRAINING)
    await stage.end()
    assert [worker.code for worker in workers] == [-signal.SIGTERM] * 2
    assert handlers() == before


@pytest.mark.parametrize("scripts", [(FAULTY, READY), (READY, FAULTY)])
async def test_one_that_does_not_start_at_first_ends_the_whole_with_a_sentence(
    scripts: tuple[str, str],
) -> None:
    workers = [StandIn(script, f"main-{at}") for at, script in enumerate(scripts, 1)]
    stage = Stage(workers)
    faulty = scripts.index(FAULTY)
    with pytest.raises(WorkersError, match=f"worker main-{faulty + 1} did not start"):
        await stage.end()
    assert workers[faulty].code == 3
    other = workers[1 - faulty]
    assert other.pid is None or other.code == -signal.SIGTERM
    assert faulty != 0 or other.pid is None, "the first speaks for all"


async def test_ctrl_c_during_the_start_is_obeyed_at_once() -> None:
    workers = [StandIn(READY), StandIn(NEVER_READY)]
    stage = Stage(workers)
    await workers[0].starts.get()
    tell(signal.SIGHUP)  # Not yet.
    tell(signal.SIGINT)
    await stage.told(DRAINING)
    await stage.end()
    assert not lives(workers[0].pid)
    assert workers[1].pid is None or not lives(workers[1].pid)


async def test_a_second_ctrl_c_kills_those_that_are_slow_to_go_and_a_second_sigterm_does_not() -> (
    None
):
    workers = [StandIn(READY), StandIn(STUBBORN)]
    stage = Stage(workers)
    await stage.told("greeted 3")
    await stage.told(READY_LINE)
    tell(signal.SIGTERM)
    await stage.told(DRAINING)
    tell(signal.SIGTERM)
    assert lives(workers[1].pid)
    tell(signal.SIGINT)
    await stage.told("killing the workers that are left")
    await stage.end()
    assert workers[1].code == -signal.SIGKILL


async def test_a_worker_that_died_is_there_again() -> None:
    workers = [StandIn(READY), StandIn(READY)]
    stage = Stage(workers)
    await stage.told("greeted 6")
    await stage.told(READY_LINE)
    _, before = await workers[0].starts.get()
    workers[0].kill()
    async with asyncio.timeout(20):
        ready, after = await workers[0].starts.get()
    assert ready
    assert before != after
    tell(signal.SIGINT)
    await stage.told(DRAINING)
    await stage.end()
    assert not lives(after)


async def test_sighup_replaces_one_after_the_other() -> None:
    workers = [StandIn(READY, "a"), StandIn(READY, "b")]
    stage = Stage(workers)
    await stage.told("greeted 6")
    await stage.told(READY_LINE)
    before = [worker.pid for worker in workers]
    tell(signal.SIGHUP)
    await stage.told("a was replaced")
    await stage.told("b was replaced")
    after = [worker.pid for worker in workers]
    assert not set(before) & set(after)
    assert not any(map(lives, before))
    assert all(map(lives, after))
    tell(signal.SIGINT)
    await stage.told(DRAINING)
    await stage.end()
    assert not any(map(lives, after))


async def test_a_release_that_does_not_start_replaces_one_worker_only(tmp_path: Path) -> None:
    workers = [StandIn(READY_ONCE, "a", MARK=str(tmp_path / "mark")), StandIn(READY, "b")]
    stage = Stage(workers)
    await stage.told("greeted 3")
    await stage.told(READY_LINE)
    tell(signal.SIGHUP)
    await stage.told("a does not start again; the others are left as they are")
    assert lives(workers[1].pid)
    tell(signal.SIGINT)
    await stage.told(DRAINING)
    await stage.end()


@pytest.mark.parametrize(
    ("settings", "count", "why"),
    [
        ({"port": 0}, 2, "TALKTIME_PORT=0"),
        ({"own_port": 65_535}, 2, "no port for the last"),
        ({"port": 9_101, "own_port": 9_100}, 2, "the port of all, 9101"),
        ({"node_name": "n" * 62}, 2, "TALKTIME_NODE_NAME is too long"),
        ({}, 11, "too few connections for 11 workers"),
    ],
)
def test_what_several_workers_cannot_do_is_a_sentence(
    tmp_path: Path, settings: dict[str, Any], count: int, why: str
) -> None:
    config = development(tmp_path, **settings)
    with pytest.raises(WorkersError, match=why):
        check(config, count, config.own_port)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({}, 10),
        ({"database_url": "postgresql://a@127.0.0.1/b"}, 64),
        ({"port": 9_102, "own_port": 9_100}, 2),
        ({"own_port": 65_534}, 2),
        ({"node_name": "n" * 61}, 9),
    ],
)
def test_what_several_workers_can_do_is_let(
    tmp_path: Path, settings: dict[str, Any], count: int
) -> None:
    config = development(tmp_path, **settings)
    check(config, count, config.own_port)


def test_production_needs_a_redis_of_its_own() -> None:
    with pytest.raises(WorkersError, match="set REDIS_URL"):
        check(production(), 2, 0)
    check(production(redis_url="redis://127.0.0.1:6379"), 2, 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost"])
def test_a_port_that_somebody_has_is_not_shared(host: str) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(WorkersError, match=f"cannot listen on {host}:{port}: .*in use"):
            check_port(host, port)
    check_port(host, port)


def test_an_address_of_nobody_is_a_sentence() -> None:
    with pytest.raises(WorkersError, match=r"cannot listen on nowhere\.invalid:80: "):
        check_port("nowhere.invalid", 80)


def environments(config: Config, count: int) -> list[dict[str, str]]:
    made = make_workers(
        config, count, dsn="postgresql://x", redis_url="redis://y", own_port=config.own_port
    )
    return [dict(worker._environment) for worker in made]


def test_workers_differ_in_name_and_own_port_alone(tmp_path: Path) -> None:
    first, second = environments(development(tmp_path, own_port=9_100, port=8_000), 2)
    differ = {name: (first[name], second[name]) for name in first if first[name] != second[name]}
    assert differ == {
        "TALKTIME_NODE_NAME": ("main-1", "main-2"),
        "TALKTIME_OWN_PORT": ("9100", "9101"),
    }
    assert (first["DATABASE_URL"], first["REDIS_URL"]) == ("postgresql://x", "redis://y")
    assert (first["TALKTIME_MODE"], first["TALKTIME_PORT"]) == ("dev", "8000")
    assert first["TALKTIME_REUSE_PORT"] == first["TALKTIME_QUIET"] == "true"


def test_the_connections_of_an_embedded_database_are_shared(tmp_path: Path) -> None:
    alone = environments(development(tmp_path), 1)
    many = environments(development(tmp_path), 8)
    given = environments(development(tmp_path, database_url="postgresql://a@127.0.0.1/b"), 8)
    pools = [each[0]["TALKTIME_DB_POOL_MAX"] for each in (alone, many, given)]
    assert pools == ["20", "6", "20"]


def test_a_redis_that_is_set_is_used_as_it_is(tmp_path: Path) -> None:
    with redis(development(tmp_path, redis_url="redis://127.0.0.1:1")) as url:
        assert url == "redis://127.0.0.1:1"
    with redis(development(tmp_path)) as url:
        path = url.removeprefix("unix://")
        assert Path(path).is_socket()
    assert not Path(path).exists()
