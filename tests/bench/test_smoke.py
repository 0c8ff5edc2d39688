"""`--quick`: every benchmark runs to its end and finds something; its figures mean nothing."""

import math
import sys
from pathlib import Path

import pytest

from tests.bench.__main__ import ASKED_FOR, BENCHES, arguments, chosen
from tests.bench.children import finished
from tests.bench.results import read

# The rest each take longer than a test may.
BRIEF = ("step", "codec", "tariff", "throttle", "machine", "ticks", "calls", "relay")


RUN_MAX_S = 280


@pytest.mark.timeout(300)
async def test_the_benchmarks_run(tmp_path: Path) -> None:
    to = tmp_path / "bench.json"
    wanted = [word for name in BRIEF for word in ("--only", name)]
    command = (sys.executable, "-m", "tests.bench", "--quick", "--json", str(to), *wanted)
    code, said = await finished(*command, max_s=RUN_MAX_S)
    assert code == 0, said
    result = read(to)
    assert {figure.bench for figure in result.figures} == set(BRIEF)
    assert all(math.isfinite(value) for each in result.figures for value in each.values)
    faults = result.find("calls", "faults in the books")
    assert faults is not None
    assert faults.values == (0,)
    for manner in ("full load", "full load, bursts"):
        name = f"{manner}: our whole paid call ÷ bare relay by aiohttp"
        assert result.find("calls", name) is not None


def test_others_servers_are_run_only_when_asked_for() -> None:
    assert chosen(arguments([])) == [name for name in BENCHES if name not in ASKED_FOR]
    assert chosen(arguments(["--only", "calls", "--peers"])) == ["peers", "calls"]
    assert chosen(arguments(["--only", "peers"])) == ["peers"]


@pytest.mark.parametrize("runs", ["0", "-1", "many"])
def test_a_number_of_runs_is_one_or_more(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--runs", runs])
    assert "--runs" in capsys.readouterr().err
