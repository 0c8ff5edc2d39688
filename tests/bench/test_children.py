"""Processes of a benchmark and their CPU."""

import os
import sys

import pytest

from tests.bench.children import family_cpu_s, finished

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
