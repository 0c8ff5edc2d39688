import asyncio
import os
import pty
import termios
from collections.abc import Iterator

import pytest

from server.keys import Keys


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """Both ends of a terminal: where somebody types, and where we read."""
    typist, ours = pty.openpty()
    yield typist, ours
    os.close(typist)
    os.close(ours)


async def test_keys_come_at_once_and_the_terminal_is_put_back(terminal: tuple[int, int]) -> None:
    typist, ours = terminal
    before = termios.tcgetattr(ours)
    with Keys(ours) as keys:
        assert keys.there
        assert termios.tcgetattr(ours) != before
        os.write(typist, b"mh")
        async with asyncio.timeout(5):
            assert [await keys.queue.get(), await keys.queue.get()] == ["m", "h"]
    assert termios.tcgetattr(ours) == before


async def test_a_line_ends_with_enter_and_can_be_corrected_or_left(
    terminal: tuple[int, int],
) -> None:
    typist, ours = terminal
    with Keys(ours) as keys:
        os.write(typist, b"helo\x7flo\n" + b"no\x1b")
        async with asyncio.timeout(5):
            assert await keys.line() == "hello"
            assert await keys.line() == ""


async def test_without_a_terminal_no_key_ever_comes() -> None:
    reader, writer = os.pipe()
    with Keys(reader) as keys:
        os.write(writer, b"h")
        assert not keys.there
        assert keys.queue.empty()
    os.close(reader)
    os.close(writer)
