"""One worker: started, kept, ended; never left behind, never started in a hurry."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress

import pytest

from server import worker as module
from server.worker import PAUSE_MAX_S, Worker, pause_s
from tests.server.stand_ins import FAULTY, NEVER_READY, READY, STUBBORN, StandIn, lives, open_files


async def test_it_is_ready_when_its_process_says_so_and_gone_when_it_was_ended() -> None:
    files = open_files()
    worker = StandIn(READY)
    assert (worker.pid, worker.code) == (None, None)
    assert await worker.start()
    assert worker.recovered == 3
    assert lives(worker.pid)
    await worker.end()
    assert worker.code == -signal.SIGTERM
    assert not lives(worker.pid)
    await worker.end()  # Nothing is left to end.
    worker.kill()
    assert open_files() == files


async def test_ending_one_that_never_started_does_nothing() -> None:
    worker = StandIn(READY)
    worker.kill()
    await worker.end()


async def test_a_process_that_ends_before_it_is_ready_did_not_start() -> None:
    worker = StandIn(FAULTY)
    assert not await worker.start()
    assert worker.code == 3


async def test_a_program_that_is_not_there_did_not_start_and_leaves_no_pipe() -> None:
    files = open_files()
    worker = Worker("main-1", ["/nowhere/talktime"], {})
    assert not await worker.start()
    assert worker.pid is None
    assert open_files() == files


async def test_a_process_that_is_never_ready_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READY_S", 0.1)
    monkeypatch.setattr(module, "GONE_S", 0.01)
    worker = StandIn(NEVER_READY)
    assert not await worker.start()
    assert worker.code == -signal.SIGTERM


async def test_a_process_that_will_not_go_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = StandIn(STUBBORN)
    assert await worker.start()
    monkeypatch.setattr(module, "END_S", 0.1)
    await worker.end()
    assert worker.code == -signal.SIGKILL


async def test_the_signals_of_our_terminal_do_not_reach_it() -> None:
    worker = StandIn(READY)
    await worker.start()
    assert worker.pid is not None
    try:
        assert os.getsid(worker.pid) == worker.pid != os.getsid(0)
    finally:
        await worker.end()


async def test_one_that_was_killed_is_started_again_until_it_is_no_longer_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    worker = StandIn(READY)
    await worker.start()
    keeper = asyncio.create_task(worker.keep())
    try:
        async with asyncio.timeout(20):
            _, before = await worker.starts.get()
            for _ in range(2):
                assert before is not None
                os.kill(before, signal.SIGKILL)
                ready, after = await worker.starts.get()
                assert ready
                assert after != before
                before = after
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await worker.end()
    assert worker.starts.empty()


async def test_one_that_dies_at_each_start_is_waited_for_longer_and_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float] = []
    enough = asyncio.Event()

    async def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 8:
            enough.set()
            await asyncio.Event().wait()

    worker = StandIn(FAULTY)
    await worker.start()
    monkeypatch.setattr("server.worker.asyncio.sleep", wait)
    keeper = asyncio.create_task(worker.keep())
    async with asyncio.timeout(20):
        await enough.wait()
    keeper.cancel()
    with suppress(asyncio.CancelledError):
        await keeper
    assert waits == [1, 2, 4, 8, 10, 10, 10, 10]


async def test_a_worker_whose_program_vanished_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "PAUSE_S", 0.001)
    worker = StandIn(READY)
    await worker.start()
    _, pid = await worker.starts.get()
    command, worker._command = worker._command, ["/nowhere/talktime"]
    keeper = asyncio.create_task(worker.keep())
    worker.kill()
    try:
        async with asyncio.timeout(20):
            assert await worker.starts.get() == (False, pid)
            worker._command = command
            while True:
                ready, after = await worker.starts.get()
                if ready:
                    break
        assert after != pid
    finally:
        keeper.cancel()
        with suppress(asyncio.CancelledError):
            await keeper
        await worker.end()


def test_the_pause_has_a_limit_however_often_it_died() -> None:
    assert [pause_s(lives) for lives in (0, 1, 2)] == [0.5, 1, 2]
    assert pause_s(1_000_000) == PAUSE_MAX_S
