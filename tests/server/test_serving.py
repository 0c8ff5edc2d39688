"""`talktime serve` as a process of its own, from an empty directory to an orderly end."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from server.app import Server
from server.config import Config
from server.embedded import EmbeddedPostgres
from server.runner import Runner
from server.serving import new_event_loop, serve, tell_ready, unless
from server.worker import readable
from tests.end_to_end.driver import Process, site, start_process
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.server.running import development
from tests.server.test_cli import TRACEBACK, talktime


@pytest.fixture
def data_dir(scratch: Path) -> Iterator[Path]:
    """An empty directory that the database's user can enter."""
    path = scratch / f"run-{uuid4().hex}"
    path.mkdir(mode=0o711)
    yield path
    server = EmbeddedPostgres(path, durable=False)
    if server.status().running:
        server.start()
        server.stop()


async def test_an_empty_directory_is_enough_and_its_data_is_found_again(data_dir: Path) -> None:
    person = {"name": "Ann", "email": "ann@example.org", "password": "pass-word-1"}
    first = await start_process(data_dir)
    try:
        async with site(first.url) as there:
            async with there.http.post(f"{there.url}/auth/signup", json=person) as answer:
                assert answer.status == 201
            async with there.http.get(f"{there.url}/health") as answer:
                assert (await answer.json())["status"] == "ok"
        # Tools work beside it, a second server does not.
        books = await talktime(data_dir, "ledger", "verify")
        assert (books.code, "the books hold" in books.out) == (0, True), books.err
        second = await talktime(data_dir, "serve", "--dev", "--port", "0")
        assert second.code == 1
        assert f"process {first.pid}" in second.err
        assert TRACEBACK not in second.err
    finally:
        assert await first.interrupt() == 0
    assert not EmbeddedPostgres(data_dir).status().running
    again = await start_process(data_dir)
    try:
        async with site(again.url) as there:
            login = {"email": person["email"], "password": person["password"]}
            async with there.http.post(f"{there.url}/auth/login", json=login) as answer:
                assert answer.status == 200
    finally:
        assert await again.interrupt() == 0


async def test_a_taken_port_is_said_in_a_sentence_and_nothing_is_left(
    tmp_path: Path, dsn: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        said = await talktime(tmp_path, "serve", "--dev", "--port", str(port), DATABASE_URL=dsn)
    assert said.code == 1
    assert f"cannot listen on 127.0.0.1:{port}: " in said.err
    assert "already in use" in said.err
    assert TRACEBACK not in said.err
    free = await start_process(tmp_path, DATABASE_URL=dsn)  # The name was given back.
    assert await free.interrupt() == 0
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_a_signal_to_stop_is_obeyed_at_once_on_either_loop(
    tmp_path: Path, dsn: str, loop: str
) -> None:
    server: Process = await start_process(tmp_path, DATABASE_URL=dsn, TALKTIME_LOOP=loop)
    server._process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await server._process.wait() == 0
    assert TRACEBACK not in server.log.read_text()


@pytest.mark.parametrize(("loop", "module"), [("uvloop", "uvloop"), ("asyncio", "asyncio")])
def test_the_loop_is_the_configured_one(tmp_path: Path, loop: str, module: str) -> None:
    made = new_event_loop(development(tmp_path, loop=loop))
    try:
        assert type(made).__module__.split(".")[0] == module
    finally:
        made.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


@contextlib.asynccontextmanager
async def serving(config: Config, dsn: str) -> AsyncIterator[asyncio.Task[None]]:
    """`serve` in this process, listening; signals go to it."""
    reader, writer = os.pipe()
    task = asyncio.create_task(serve(config.model_copy(update={"ready_fd": writer}), dsn))
    try:
        async with asyncio.timeout(20):
            await readable(reader)
        assert os.read(reader, 9) == b"0", "it says how many calls it goes on with"
        yield task
        async with asyncio.timeout(20):
            await task
    finally:
        task.cancel()
        os.close(reader)
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().remove_signal_handler(number)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set when a drain that takes for ever has begun."""
    begun = asyncio.Event()

    async def drain(server: Server) -> int:
        server.draining = True
        begun.set()
        await asyncio.Event().wait()
        return 0

    monkeypatch.setattr(Server, "drain", drain)
    return begun


async def test_a_worker_listens_on_two_ports_and_leaves_the_shared_one_when_it_drains(
    tmp_path: Path, dsn: str, slow: asyncio.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    shared, own = free_port(), free_port()
    config = development(tmp_path, port=shared, own_port=own, reuse_port=True, quiet=True)
    async with serving(config, dsn) as task, aiohttp.ClientSession() as http:
        for port in (shared, own):
            async with http.get(f"http://127.0.0.1:{port}/ready") as answer:
                assert (answer.status, (await answer.json())["draining"]) == (200, False)
        os.kill(os.getpid(), signal.SIGTERM)
        await slow.wait()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", shared)
        async with http.get(f"http://127.0.0.1:{own}/ready") as answer:
            assert (answer.status, (await answer.json())["draining"]) == (503, True)
        os.kill(os.getpid(), signal.SIGTERM)  # Patience: only Ctrl-C hurries.
        async with http.get(f"http://127.0.0.1:{own}/ready") as answer:
            assert answer.status == 503
        assert not task.done()
        os.kill(os.getpid(), signal.SIGINT)
    out = capsys.readouterr().out
    assert ("╭" in out, "draining:" in out) == (False, False)


async def test_one_node_answers_on_its_port_while_it_drains_and_a_second_ctrl_c_ends_it(
    tmp_path: Path, dsn: str, slow: asyncio.Event, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    config = development(tmp_path, port=port)
    async with serving(config, dsn), aiohttp.ClientSession() as http:
        os.kill(os.getpid(), signal.SIGINT)
        await slow.wait()
        async with http.get(f"http://127.0.0.1:{port}/ready") as answer:
            assert (answer.status, (await answer.json())["draining"]) == (503, True)
        os.kill(os.getpid(), signal.SIGINT)
    out = capsys.readouterr().out
    assert out.count("╭") == 1
    assert out.count("\ndraining: calls are handed over, devices are told to come back\n") == 1


async def test_a_request_that_is_under_way_at_the_end_is_answered(
    tmp_path: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port, last = free_port(), asyncio.Event()
    finish = Runner.finish

    async def told(runner: Runner, within_s: float) -> None:
        last.set()
        await finish(runner, within_s)

    monkeypatch.setattr(Runner, "finish", told)

    async def body() -> AsyncIterator[bytes]:
        # The server has asked for it: the request is in work.
        os.kill(os.getpid(), signal.SIGTERM)
        await last.wait()
        yield b'{"email": "mia@demo.talktime", "password": "talktime-demo"}'

    config = development(tmp_path, port=port, quiet=True)
    async with serving(config, dsn), aiohttp.ClientSession() as http:
        url, kind = f"http://127.0.0.1:{port}/auth/login", {"Content-Type": "application/json"}
        async with http.post(url, data=body(), headers=kind, expect100=True) as answer:
            assert answer.status == 200
            assert (await answer.json())["user"]["name"] == "Mia"


async def test_work_is_done_unless_something_happens_first() -> None:
    happened, given_up = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            given_up.set()

    assert await unless(happened, asyncio.sleep(0))
    happened.set()
    assert not await unless(happened, work())
    assert given_up.is_set()

    async def fails() -> None:
        raise ZeroDivisionError

    happened.clear()
    with pytest.raises(ZeroDivisionError):
        await unless(happened, fails())


def test_nobody_need_wait_for_the_news_that_it_listens(tmp_path: Path) -> None:
    tell_ready(development(tmp_path), 0)  # Nobody asked.
    reader, writer = os.pipe()
    os.close(reader)
    tell_ready(development(tmp_path, ready_fd=writer), 12)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(writer)
