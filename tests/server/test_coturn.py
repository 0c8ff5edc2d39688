"""coturn's console as it speaks, played by a server of ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from server import coturn
from server.coturn import CoturnFault, console

NAME = "1800000000:00000000-0000-0000-0000-000000000001:00000000-0000-0000-0000-000000000002"
GREETING = b"TURN Server\r\nCoturn-4.6.1 'Gorst'\r\n\r\nType '?' for help\r\nEnter password: \r\n"
USERS = f"\r\n    user: <{NAME}>, 2 sessions\r\n    user: <other>, 1 sessions\r\n\r\n> "
SESSIONS = "".join(
    f"    {n}) id=00{n}000000000000007, user <{NAME}>:\r\n      realm: talktime\r\n\r\n"
    for n in (1, 2)
)


class Played:
    """What the console was told, line by line; `answers` by the first word."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.answers = {"pu": USERS, "ps": f"\r\n{SESSIONS}  Total sessions: 2\r\n\r\n> "}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(GREETING)
        async for line in reader:
            self.lines.append(line.decode().rstrip())
            if len(self.lines) == 1:
                right = self.lines[0] == "right"
                writer.write(b"> " if right else b"\r\nEnter password: \r\n")
                continue
            answer = self.answers.get(self.lines[-1].split()[0], "> ")
            for at in range(0, len(answer), 7):  # It may come in pieces.
                writer.write(answer[at : at + 7].encode())
                await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def test_users_are_listed_and_each_session_of_one_is_ended() -> None:
    played = Played()
    async with serving(played.serve) as port, console("127.0.0.1", port, "right") as there:
        assert await there.users() == {NAME, "other"}
        assert await there.end(NAME) == 2
    assert played.lines[1:] == [
        "pu",
        f"ps {NAME}",
        "cs 001000000000000007",
        "cs 002000000000000007",
    ]


async def test_nobody_there_is_no_fault() -> None:
    played = Played()
    played.answers = dict.fromkeys(("pu", "ps"), "\r\n  Total sessions: 0\r\n\r\n> ")
    async with serving(played.serve) as port, console("127.0.0.1", port, "right") as there:
        assert await there.users() == set()
        assert await there.end(NAME) == 0


@pytest.mark.parametrize("name", ["", "a b", "a\r\ncs 1", "x" * 201, "ü"])
async def test_a_name_cannot_bring_a_command_with_it(name: str) -> None:
    played = Played()
    async with serving(played.serve) as port, console("127.0.0.1", port, "right") as there:
        with pytest.raises(ValueError, match="a name of letters"):
            await there.end(name)
    assert len(played.lines) == 1


async def test_a_wrong_password_is_said_without_it() -> None:
    async with serving(Played().serve) as port:
        with pytest.raises(CoturnFault, match=r"^the console refuses the password$"):
            async with console("127.0.0.1", port, "wrong"):
                pass


async def test_one_that_hangs_up_floods_or_is_silent_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"x" * 100_000)
        writer.close()

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    monkeypatch.setattr(coturn, "WAIT_S", 0.2)
    monkeypatch.setattr(coturn, "ANSWER_BYTES_MAX", 50_000)
    for serve, fault in (
        (hang_up, CoturnFault("hung up")),
        (flood, CoturnFault("more than")),
        (silence, TimeoutError()),
    ):
        async with serving(serve) as port:
            with pytest.raises(type(fault), match=str(fault) or "^$"):
                async with console("127.0.0.1", port, "right"):
                    pass
