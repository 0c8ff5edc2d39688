"""`python -m tests.bench [--quick] [--only NAME] [--runs N] [--peers] [--json FILE]`: measure.

It prints a table and writes JSON, which `tests.bench.compare` and `tests.bench.chart` read. With
`--runs` each figure is a median: all benchmarks once, then all once more, so that what the machine
does meanwhile meets all of them alike.
"""

import argparse
import asyncio
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from tests.bench.calls import bench_calls
from tests.bench.front import bench_idle, bench_rest, bench_start
from tests.bench.growth import bench_growth
from tests.bench.lab import Lab
from tests.bench.logins import bench_logins
from tests.bench.machine import bench_machine
from tests.bench.micro import bench_codec, bench_tariff, bench_throttle
from tests.bench.nodes import bench_nodes
from tests.bench.overload import bench_overload
from tests.bench.peers.bench import bench_peers
from tests.bench.peers.sip import bench_sip
from tests.bench.peers.web import bench_fastapi
from tests.bench.relay import bench_relay
from tests.bench.report import Report
from tests.bench.results import Options, write
from tests.bench.steps import bench_step
from tests.bench.storm import bench_storm
from tests.bench.ticks import bench_ticks
from tests.bench.workers import bench_workers

BENCHES: dict[str, Callable[[Lab], Awaitable[None]]] = {
    "step": bench_step,
    "codec": bench_codec,
    "tariff": bench_tariff,
    "throttle": bench_throttle,
    "machine": bench_machine,
    "peers": bench_peers,
    "sip": bench_sip,
    "fastapi": bench_fastapi,
    "ticks": bench_ticks,
    "calls": bench_calls,
    "relay": bench_relay,
    "idle": bench_idle,
    "rest": bench_rest,
    "logins": bench_logins,
    "start": bench_start,
    "growth": bench_growth,
    "overload": bench_overload,
    "storm": bench_storm,
    "workers": bench_workers,
    "nodes": bench_nodes,
}
# Others' servers, from registries or of the system's packages: only when asked for.
ASKED_FOR = {"peers", "sip", "fastapi"}
BENCH_MAX_S = 240.0


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    what = "Measure, print a table, and write JSON."
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=what)
    parser.add_argument("--quick", action="store_true", help="small and short: a smoke test")
    parser.add_argument("--only", action="append", choices=BENCHES, help="may be repeated")
    parser.add_argument("--runs", type=_runs, default=1, metavar="N", help="medians of N runs")
    parser.add_argument("--peers", action="store_true", help="others' servers too")
    parser.add_argument(
        "--uwebsockets", type=_directory, metavar="DIR", help="its sources, for --peers"
    )
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--idle", type=int, default=2_000, metavar="N", help="idle devices")
    parser.add_argument("--pin", action="store_true", help="servers on the first core, alone")
    parser.add_argument("--dir", type=Path, help="where PostgreSQL's data goes; a real disk")
    return parser.parse_args(given)


def _runs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError("a number from 1 on")
    return int(text)


def _directory(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is no directory")
    return path


def chosen(given: argparse.Namespace) -> list[str]:
    """The benchmarks to run, in the order in which one may use what another has found."""
    wanted = set(given.only or BENCHES.keys() - ASKED_FOR)
    if given.peers:
        wanted |= ASKED_FOR
    return [name for name in BENCHES if name in wanted]


def options(given: argparse.Namespace) -> Options:
    """What changes the figures, as the result file keeps it."""
    return {
        "quick": given.quick,
        "idle": given.idle,
        "pin": given.pin,
        "benches": chosen(given),
    }


async def run(given: argparse.Namespace, report: Report, directory: Path) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    lab = Lab(
        directory,
        report,
        quick=given.quick,
        idle=given.idle,
        pin=given.pin,
        uwebsockets=given.uwebsockets,
    )
    try:
        for number in range(given.runs):
            report.begin_run()
            for name in chosen(given):
                report.bench = name
                of = f" ({number + 1} of {given.runs})" if given.runs > 1 else ""
                print(f"{name}{of}…", file=sys.stderr, flush=True)
                began_s = time.perf_counter()
                async with asyncio.timeout(BENCH_MAX_S):
                    await BENCHES[name](lab)
                print(f"  {time.perf_counter() - began_s:.1f} s", file=sys.stderr, flush=True)
    finally:
        lab.close()


def main() -> int:
    given, report = arguments(), Report()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    # The database's own user must be able to pass through it.
    directory = Path(tempfile.mkdtemp(prefix="talktime-bench-", dir=given.dir))
    directory.chmod(0o711)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(given, report, directory))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        if report.figures:
            report.print()
            write(given.json, report.result(options(given)))
            print(f"written to {given.json}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
