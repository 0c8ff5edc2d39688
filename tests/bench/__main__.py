"""`python -m tests.bench [--quick] [--only NAME] [--json FILE]`: measure, print, write JSON."""

import argparse
import asyncio
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from tests.bench.calls import bench_calls
from tests.bench.front import bench_idle, bench_rest, bench_start
from tests.bench.growth import bench_growth
from tests.bench.lab import Lab
from tests.bench.logins import bench_logins
from tests.bench.machine import bench_machine
from tests.bench.nodes import bench_nodes
from tests.bench.overload import bench_overload
from tests.bench.relay import bench_relay
from tests.bench.report import Report
from tests.bench.steps import bench_step
from tests.bench.storm import bench_storm
from tests.bench.ticks import bench_ticks
from tests.bench.workers import bench_workers

BENCHES: dict[str, Callable[[Lab], Awaitable[None]]] = {
    "step": bench_step,
    "machine": bench_machine,
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
BENCH_MAX_S = 240.0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small and short: a smoke test")
    parser.add_argument("--only", action="append", choices=BENCHES, help="may be repeated")
    parser.add_argument("--json", type=Path, default=Path("bench.json"), metavar="FILE")
    parser.add_argument("--idle", type=int, default=2_000, metavar="N", help="idle devices")
    parser.add_argument("--pin", action="store_true", help="servers on the first core, alone")
    parser.add_argument("--dir", type=Path, help="where PostgreSQL's data goes; a real disk")
    return parser.parse_args()


async def run(given: argparse.Namespace, report: Report, directory: Path) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    lab = Lab(directory, report, quick=given.quick, idle=given.idle, pin=given.pin)
    try:
        for name in given.only or BENCHES:
            report.bench = name
            print(f"{name}…", file=sys.stderr, flush=True)
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
            report.write(given.json, quick=given.quick)
            print(f"written to {given.json}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
