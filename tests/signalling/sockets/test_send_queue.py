import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from signalling.limits import SocketLimits
from signalling.sockets.send_queue import CLOSE, TEXT, Flusher, SendQueue, header


class Pipe:
    """A transport whose kernel takes what `take` says, when it says so."""

    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.buffered = 0
        self.closing = False
        self.stuck = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)
        if self.stuck:
            self.buffered += len(data)

    def take(self, size: int) -> None:
        self.buffered -= size

    def get_write_buffer_size(self) -> int:
        return self.buffered

    def is_closing(self) -> bool:
        return self.closing


class Bench:
    def __init__(self, bytes_max: int = 10_000, frames_max: int = 10) -> None:
        self.pipe = Pipe()
        self.slow = 0
        self.flusher = Flusher()
        limits = SocketLimits(send_queue_bytes_max=bytes_max, send_queue_frames_max=frames_max)
        self.queue = self.make(self.pipe, limits, self.count)

    def make(self, pipe: Pipe, limits: SocketLimits, slow: Callable[[], None]) -> SendQueue:
        return SendQueue(cast(asyncio.Transport, pipe), self.flusher, limits, slow)

    def count(self) -> None:
        self.slow += 1


async def turn() -> None:
    await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x81\x00"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_headers_are_those_of_rfc_6455(size: int, head: bytes) -> None:
    assert header(TEXT, size) == head


async def test_the_frames_of_one_turn_leave_in_one_write() -> None:
    bench = Bench()
    for text in (b"a", b"bc", b"def"):
        bench.queue.put(text)
    assert bench.pipe.writes == []
    await turn()
    assert bench.pipe.writes == [b"\x81\x01a\x81\x02bc\x81\x03def"]
    bench.queue.put(b"later")
    await turn()
    assert bench.pipe.writes[1:] == [b"\x81\x05later"]


async def test_a_reader_beyond_the_bytes_is_given_up_once() -> None:
    bench = Bench(bytes_max=1_000)
    bench.pipe.stuck = True
    for _ in range(9):
        bench.queue.put(b"x" * 100)
        await turn()
    assert bench.slow == 0
    bench.queue.put(b"x" * 100)
    assert bench.slow == 1
    bench.queue.put(b"x" * 100)
    await turn()
    assert bench.slow == 1
    assert len(bench.pipe.writes) == 9


async def test_bytes_count_within_a_turn_as_well() -> None:
    bench = Bench(bytes_max=1_000)
    for _ in range(11):
        bench.queue.put(b"x" * 100)
    assert bench.slow == 1
    await turn()
    assert bench.pipe.writes == []


async def test_a_reader_that_keeps_up_may_get_any_number_of_bytes() -> None:
    bench = Bench(bytes_max=1_000)
    for _ in range(100):
        bench.queue.put(b"x" * 400)
        await turn()
        bench.queue.put(b"x" * 400)
    assert bench.slow == 0


async def test_a_reader_beyond_the_frames_is_given_up() -> None:
    bench = Bench(frames_max=10)
    bench.pipe.stuck = True
    for _ in range(11):
        bench.queue.put(b"x")
        await turn()
    assert bench.slow == 0
    bench.queue.put(b"x")
    await turn()
    assert bench.slow == 1


async def test_frames_that_the_kernel_took_do_not_count() -> None:
    bench = Bench(frames_max=10)
    bench.pipe.stuck = True
    for _ in range(100):
        bench.queue.put(b"x" * 8)
        await turn()
        if bench.pipe.buffered > 80:
            bench.pipe.take(10)
    assert bench.slow == 0


async def test_many_frames_in_one_turn_are_no_sign_of_a_slow_reader() -> None:
    bench = Bench(frames_max=10)
    for _ in range(50):
        bench.queue.put(b"x")
    await turn()
    bench.queue.put(b"x")
    await turn()
    assert bench.slow == 0
    assert len(bench.pipe.writes) == 2


async def test_a_close_goes_behind_what_waits_and_nothing_behind_the_close() -> None:
    bench = Bench()
    bench.queue.put(b"a")
    bench.queue.close(4001, "why")
    bench.queue.close(4002)
    bench.queue.put(b"b")
    await turn()
    assert bench.pipe.writes == [b"\x81\x01a" + header(CLOSE, 5) + b"\x0f\xa1why"]


async def test_nothing_is_written_to_a_closing_transport() -> None:
    bench = Bench()
    bench.queue.put(b"a")
    bench.pipe.closing = True
    await turn()
    bench.queue.put(b"b")
    bench.queue.close(1000)
    await turn()
    assert bench.pipe.writes == []


async def test_one_broken_transport_does_not_stop_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Broken(Pipe):
        def write(self, data: bytes) -> None:
            raise OSError("broken")

    bench = Bench()
    broken = bench.make(Broken(), SocketLimits(), bench.count)
    broken.put(b"a")
    bench.queue.put(b"b")
    await turn()
    assert bench.pipe.writes == [b"\x81\x01b"]
    assert "writing to a socket failed" in caplog.text
