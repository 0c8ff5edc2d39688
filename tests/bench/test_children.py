"""Processes of a benchmark and their CPU."""

import asyncio
import os
import signal
import sys

import pytest

from tests.bench import children
from tests.bench.children import family_cpu_s, finished, stop

BURN = "import time; t = time.process_time()\nwhile time.process_time() < t + 0.1: pass"


async def test_the_cpu_of_a_child_that_has_ended_is_counted() -> None:
    before_s = family_cpu_s(os.getpid())
    await finished(sys.executable, "-c", BURN, max_s=30)
    assert family_cpu_s(os.getpid()) - before_s >= 0.09


async def test_a_finished_program_tells_its_code_and_all_it_said() -> None:
    script = "import sys; print('out'); sys.stdout.flush(); sys.exit('err')"
    assert await finished(sys.executable, "-c", script, max_s=30) == (1, "out\nerr\n")


async def test_a_program_that_takes_too_long_is_killed() -> None:
    with pytest.raises(TimeoutError):
        await finished(sys.executable, "-c", "import time; time.sleep(60)", max_s=0.05)


async def test_a_program_that_does_not_heed_the_interruption_is_killed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(children, "STOP_S", 0.05)
    deaf = (
        "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN);"
        "print(1, flush=True); time.sleep(60)"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", deaf, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()
    await stop(process)
    assert process.returncode == -signal.SIGKILL
