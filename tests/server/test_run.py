"""`talktime serve` as a process of its own, from an empty directory to an orderly end."""

import asyncio
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from server.embedded import EmbeddedPostgres
from server.run import database, new_event_loop
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


def test_a_given_database_is_used_as_it_is(tmp_path: Path) -> None:
    url = "postgresql://talk@127.0.0.1/talk"
    with database(development(tmp_path, database_url=url), exclusive=True) as dsn:
        assert dsn == url
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize(("loop", "module"), [("uvloop", "uvloop"), ("asyncio", "asyncio")])
def test_the_loop_is_the_configured_one(tmp_path: Path, loop: str, module: str) -> None:
    made = new_event_loop(development(tmp_path, loop=loop))
    try:
        assert type(made).__module__.split(".")[0] == module
    finally:
        made.close()
