"""`--quick`: every benchmark runs to its end and finds something; its figures mean nothing."""

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.bench.__main__ import ASKED_FOR, BENCHES, arguments, chosen
from tests.bench.children import finished
from tests.bench.results import Result, read

# The rest each take longer than a test may.
BRIEF = ("step", "codec", "tariff", "throttle", "machine", "ticks", "calls", "relay")


PEERS = ("peers", "sip", "fastapi")
RUN_MAX_S = 280


async def run(names: Sequence[str], to: Path) -> Result:
    """What they have found, each small and short."""
    wanted = [word for name in names for word in ("--only", name)]
    command = (sys.executable, "-m", "tests.bench", "--quick", "--json", str(to), *wanted)
    code, said = await finished(*command, max_s=RUN_MAX_S)
    assert code == 0, said
    result = read(to)
    assert {figure.bench for figure in result.figures} == set(names)
    assert all(math.isfinite(value) for each in result.figures for value in each.values)
    return result


@pytest.mark.timeout(300)
async def test_those_of_many_people_and_processes_run(tmp_path: Path) -> None:
    result = await run(("growth", "overload", "storm", "workers", "nodes"), tmp_path / "bench.json")
    for bench, name in (
        ("growth", "dropped"),
        ("growth", "live calls that lost a socket"),
        ("overload", "live calls lost"),
        ("overload", "refused without retryAfterMs"),
        ("storm", "not welcomed"),
        ("storm", "live calls that ended"),
    ):
        found = result.find(bench, name)
        assert found is not None, name
        assert found.values == (0,), name
    assert not [each.name for each in result.figures if "failed" in each.name]


@pytest.mark.timeout(300)
async def test_the_benchmarks_run(tmp_path: Path) -> None:
    result = await run(BRIEF, tmp_path / "bench.json")
    faults = result.find("calls", "faults in the books")
    assert faults is not None
    assert faults.values == (0,)
    for manner in ("full load", "full load, bursts"):
        name = f"{manner}: our whole paid call ÷ bare relay by aiohttp"
        assert result.find("calls", name) is not None


def test_others_servers_are_run_only_when_asked_for() -> None:
    assert chosen(arguments([])) == [name for name in BENCHES if name not in ASKED_FOR]
    assert chosen(arguments(["--only", "calls", "--peers"])) == [*PEERS, "calls"]
    assert chosen(arguments(["--only", "peers"])) == ["peers"]


@pytest.mark.parametrize("runs", ["0", "-1", "many"])
def test_a_number_of_runs_is_one_or_more(runs: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments(["--runs", runs])
    assert "--runs" in capsys.readouterr().err
