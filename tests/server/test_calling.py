"""The two halves of a call, each without a terminal, against a whole server in this process."""

import asyncio
import io
import os
import pty
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from rich.console import Console

from server.calling import answer, call_user, find_user
from server.keys import Keys
from server.station import CallFailed
from signalling.client.rest import Api
from tests.served import served


@pytest.fixture
async def url(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    async with served(dsn, tmp_path, monkeypatch) as base:
        yield base


async def waits(out: io.StringIO, words: str) -> None:
    async with asyncio.timeout(15):
        while words not in out.getvalue():  # noqa: ASYNC110 (what is printed is what is awaited)
            await asyncio.sleep(0.02)


async def test_one_terminal_answers_what_the_other_calls(url: str, tmp_path: Path) -> None:
    heard = tmp_path / "heard.wav"
    here, there = io.StringIO(), io.StringIO()
    answering = asyncio.create_task(
        answer(url, auto=True, record=heard, console=Console(file=there, width=160))
    )
    await waits(there, "waits for a call")
    code = await call_user(url, "kai", seconds=1, console=Console(file=here, width=160))
    assert (code, await answering) == (0, 0)
    assert "total 120 PTS" in here.getvalue()
    assert "provider earns 84 PTS" in there.getvalue()
    assert heard.stat().st_size > 48_000


async def test_keys_reject_a_call(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    typist, ours = pty.openpty()
    here, there = io.StringIO(), io.StringIO()
    monkeypatch.setattr("server.calling.Keys", lambda: Keys(ours))
    answering = asyncio.create_task(answer(url, console=Console(file=there, width=160)))
    await waits(there, "waits for a call")
    monkeypatch.undo()
    calling = asyncio.create_task(call_user(url, "Kai", console=Console(file=here, width=160)))
    await waits(there, "Mia is calling")
    os.write(typist, b"xr")
    assert (await calling, await answering) == (1, 1)
    assert "declined by callee" in here.getvalue()
    os.close(typist)
    os.close(ours)


async def test_a_file_that_cannot_be_played_is_said_before_anything_happens() -> None:
    out = io.StringIO()
    console = Console(file=out, width=160)
    assert await call_user("http://127.0.0.1:9", "kai", audio="none.wav", console=console) == 1
    assert "none.wav cannot be played" in out.getvalue()


async def test_a_user_is_found_by_name_or_taken_by_id(url: str) -> None:
    async with Api(url) as api:
        await api.login("mia@demo.talktime", "talktime-demo")
        by_name = await find_user(api, "KAI")
        assert await find_user(api, by_name) == by_name
        assert await find_user(api, "kai@demo.talktime") == by_name
        with pytest.raises(CallFailed, match="Nobody"):
            await find_user(api, "zoe")
