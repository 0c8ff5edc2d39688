"""Many who are there beside those who are measured: idle phones, and calls that go on."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

from tests.bench.calls import run_calls
from tests.bench.children import Child, cpu_s
from tests.bench.lab import Lab, own_cpu_s
from tests.bench.line import Line, framed
from tests.bench.pairs import Pair

# As apps do: idle ones, and those in a call.
PING_IDLE_S = 25.0
PING_CALL_S = 5.0
OPENING_AT_ONCE = 64
END_S = 20.0
_PING = framed(b'{"type":"ping","data":{"t":1}}')
_STEP_S = 0.01


class Tireless(Pair):
    """As a pair, with a server that does not count how much it sends."""

    def may_begin(self, now_s: float) -> bool:
        return True


async def keep_talking(pairs: Sequence[Pair]) -> None:
    """A call of each pair that stays connected.

    Raises:
        RuntimeError: some could not be made.
    """
    for pair in pairs:
        pair.stay = True
    tally = await run_calls(pairs, len(pairs), concurrency=OPENING_AT_ONCE)
    if tally.done < len(pairs):
        raise RuntimeError(f"calls failed: {dict(tally.errors)}")


async def end_calls(pairs: Sequence[Pair]) -> None:
    """Hang up in all of them, and wait until all have been told."""
    gate = asyncio.Semaphore(OPENING_AT_ONCE)

    async def one(pair: Pair) -> None:
        told = asyncio.get_running_loop().create_future()

        def take(frame: bytes) -> None:
            if frame.startswith(b'{"type":"call_ended"') and not told.done():
                told.set_result(None)

        async with gate, asyncio.timeout(END_S):
            pair.caller.on_frame = take
            pair.caller.send(b'{"type":"call_end","id":"over","call":"%b"}' % pair.call)
            await told

    await asyncio.gather(*map(one, pairs))


@contextlib.asynccontextmanager
async def pinging(lines: Sequence[Line], every_s: float) -> AsyncIterator[None]:
    """Each line pings so often, all of them evenly spread."""

    async def ping() -> None:
        began_s, sent = time.perf_counter(), 0
        while True:
            due = int((time.perf_counter() - began_s) / every_s * len(lines))
            while sent < due:
                lines[sent % len(lines)].write(_PING)
                sent += 1
            await asyncio.sleep(_STEP_S)

    task = asyncio.create_task(ping())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


class Meter:
    """CPU since it was made: of server processes, of PostgreSQL, and of this process."""

    def __init__(self, lab: Lab, *servers: Child | int) -> None:
        self._lab = lab
        self._pids = [each if isinstance(each, int) else each.pid for each in servers]
        self._servers_s = [cpu_s(pid) for pid in self._pids]
        self._database_s = lab.database_cpu_s()
        self._own_s = own_cpu_s()
        self._began_s = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._began_s

    @property
    def each_s(self) -> list[float]:
        """Of each server."""
        return [
            cpu_s(pid) - before for pid, before in zip(self._pids, self._servers_s, strict=True)
        ]

    @property
    def server_s(self) -> float:
        return sum(self.each_s)

    @property
    def database_s(self) -> float:
        return self._lab.database_cpu_s() - self._database_s

    @property
    def own_s(self) -> float:
        return own_cpu_s() - self._own_s
