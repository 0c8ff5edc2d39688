"""Generators: one in this process, or several processes of their own, behind one face.

A child gets its job and its orders as lines of JSON on its standard input, and answers on its
standard output; its tokens are in no argument and no file.
"""

import asyncio
import gc
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import msgspec

from signalling.client.load.device import Pair
from signalling.client.load.drive import Generator, Sockets
from signalling.client.load.measure import Tally
from signalling.client.load.plan import Plan, Step

# A line holds a second's histograms, or the whole job.
LINE_BYTES_MAX = 64 << 20
STOP_S = 5.0

Emit = Callable[[int, Tally], None]


class WorkerFailed(Exception):
    """A generator process ended, or said something that is no answer."""


class Order(msgspec.Struct, frozen=True, omit_defaults=True):
    """To a generator: `start` with a job, `run` with a step, `finish`; and `stop`, which is not
    answered."""

    do: str
    url: str = ""
    pairs: list[Pair] = []
    plan: Plan | None = None
    step: Step | None = None


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """From a generator: a tally, or that an order was carried out, or why not."""

    tally: Tally | None = None
    done: str = ""
    fault: str = ""


class Working(Protocol):
    """A generator, wherever it runs."""

    async def start(self) -> None: ...

    async def run(self, step: Step) -> None: ...

    def stop(self) -> None: ...

    async def finish(self) -> None: ...

    async def close(self) -> None: ...


class Fleet:
    """`count` generators that share users and rate. With one it runs in this process."""

    def __init__(
        self, url: str, pairs: Sequence[Pair], plan: Plan, emit: Emit, *, count: int = 1
    ) -> None:
        self._plan = plan
        self._workers: list[Working] = []
        if count == 1:
            self._workers.append(generator(url, pairs, plan, partial(emit, 0)))
            return
        for number, part in enumerate(plan.split(count)):
            job = Order("start", url, list(pairs[number::count]), part)
            self._workers.append(Child(job, partial(emit, number)))

    async def start(self) -> None:
        await asyncio.gather(*(each.start() for each in self._workers))

    async def run(self, step: Step) -> None:
        count = len(self._workers)
        await asyncio.gather(
            *(
                each.run(
                    Step(
                        step.rate / count,
                        step.duration_s,
                        step.calls // count + (number < step.calls % count),
                    )
                )
                for number, each in enumerate(self._workers)
                if not step.calls or step.calls > number
            )
        )

    def stop(self) -> None:
        """No more calls begin; `run` returns when those there are have ended."""
        for each in self._workers:
            each.stop()

    async def finish(self) -> None:
        await asyncio.gather(*(each.finish() for each in self._workers))

    async def close(self) -> None:
        """End what is left after a fault, child processes too. Harmless after `finish`."""
        await asyncio.gather(*(each.close() for each in self._workers))


class Child:
    """A generator in a process of its own."""

    def __init__(self, job: Order, emit: Callable[[Tally], None]) -> None:
        self._job = job
        self._emit = emit
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "signalling.client.load.workers"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_BYTES_MAX,
            # Ctrl-C is for the parent, who passes on what it means.
            start_new_session=True,
        )
        await self._carry_out(self._job)

    async def run(self, step: Step) -> None:
        await self._carry_out(Order("run", step=step))

    def stop(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.write(msgspec.json.encode(Order("stop")) + b"\n")

    async def finish(self) -> None:
        await self._carry_out(Order("finish"))

    async def close(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _carry_out(self, order: Order) -> None:
        """
        Raises:
            WorkerFailed: it did not.
        """
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        while True:
            line = await process.stdout.readline()
            if not line:
                raise WorkerFailed(f"a generator process ended with {await process.wait()}")
            answer = _answer(line)
            if answer.tally is not None:
                self._emit(answer.tally)
            if answer.fault:
                raise WorkerFailed(answer.fault)
            if answer.done == order.do:
                return


_answer = msgspec.json.Decoder(Answer).decode
_order = msgspec.json.Decoder(Order).decode


def generator(
    url: str, pairs: Sequence[Pair], plan: Plan, emit: Callable[[Tally], None]
) -> Working:
    if plan.mode == "media":
        # Imports aiortc, which signalling alone does not need.
        from signalling.client.load.media import Phones

        return Generator(url, pairs, plan, emit, Phones)
    return Generator(url, pairs, plan, emit, Sockets)


class Obedient:
    """A child's side: carries out one order after the other; `stop` comes in between."""

    def __init__(self, say: Callable[[Answer], None]) -> None:
        self._say = say
        self._worker: Working | None = None

    async def carry_out(self, order: Order) -> None:
        try:
            await self._carry_out(order)
        except Exception as fault:  # The parent must learn of it, whatever it is.
            self._say(Answer(fault=f"{type(fault).__name__}: {fault}"))
            return
        self._say(Answer(done=order.do))

    async def _carry_out(self, order: Order) -> None:
        if order.do == "start":
            assert order.plan is not None
            self._worker = generator(order.url, order.pairs, order.plan, self._tell)
            await self._worker.start()
            return
        assert self._worker is not None
        if order.do == "run":
            assert order.step is not None
            await self._worker.run(order.step)
        else:
            await self._worker.finish()

    def stop(self) -> None:
        if self._worker is not None:
            self._worker.stop()

    async def close(self) -> None:
        if self._worker is not None:
            await self._worker.close()

    def _tell(self, tally: Tally) -> None:
        self._say(Answer(tally=tally))


async def serve() -> None:
    """A child's life: orders in, answers out, until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES_MAX)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)

    def say(answer: Answer) -> None:
        sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")
        sys.stdout.buffer.flush()

    obedient = Obedient(say)
    busy: asyncio.Task[None] | None = None
    while line := await reader.readline():
        order = _order(line)
        if order.do == "stop":
            obedient.stop()
        else:
            busy = asyncio.create_task(obedient.carry_out(order))
    if busy is not None:
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)
    await obedient.close()


def calm_collector() -> None:
    """Rarer pauses of the garbage collector, which would be measured as the server's."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 1_000)


def new_loop() -> asyncio.AbstractEventLoop:
    """The fastest there is: the generator must not be the limit."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()


if __name__ == "__main__":
    calm_collector()
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(serve())
