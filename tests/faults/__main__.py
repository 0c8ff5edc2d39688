"""`python -m tests.faults [--quick] [--row NAME] [--seed N] [--cycles N]`: break it, and see.

Runs the rows of the fault matrix on real processes, one after the other; prints a table, writes
JSON, and exits 1 if anything was lost, doubled or untrue. All of it takes about an hour on two
processors, the quick form about ten minutes. `--list` says what there is.
"""

import argparse
import asyncio
import random
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

import msgspec
import uvloop
from rich.console import Console

from tests.faults.report import print_results, print_rows, write_markdown, write_results
from tests.faults.rows import ROWS
from tests.faults.stage import Result, Row, perform

QUICK_PAIRS = 12


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--row", action="append", choices=ROWS, help="may be repeated")
    parser.add_argument("--list", action="store_true", help="the rows, and what is looked at")
    parser.add_argument("--quick", action="store_true", help="every row, with few cycles and calls")
    parser.add_argument("--seed", type=int, help="repeats the dice of an earlier run")
    parser.add_argument("--cycles", type=int, help="of each row, instead of its own number")
    parser.add_argument("--pairs", type=int, help="who call each other all the time")
    parser.add_argument("--minutes", type=float, default=0, help="begin no row after that")
    parser.add_argument(
        "--unproved-ms",
        type=int,
        help="how long the server may bill without proof, instead of each row's own bound",
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table for a note")
    parser.add_argument("--json", type=Path, default=Path("faults.json"), metavar="FILE")
    parser.add_argument("--keep", action="store_true", help="keep the logs of good rows too")
    return parser.parse_args()


async def run(given: argparse.Namespace, results: list[Result]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**6)
    began_s = time.monotonic()
    for name in given.row or ROWS:
        row = ROWS[name]
        if given.minutes and time.monotonic() - began_s > given.minutes * 60:
            results.append(_skipped(row, seed, "no time left"))
        else:
            say(f"{name}: {row.how} (seed {seed})")
            results.append(await _one(row, seed, given))


async def _one(row: Row, seed: int, given: argparse.Namespace) -> Result:
    cycles, pairs = (
        (row.quick, min(row.pairs, QUICK_PAIRS)) if given.quick else (row.cycles, row.pairs)
    )
    if given.unproved_ms is not None:
        row = msgspec.structs.replace(row, unproved_ms=given.unproved_ms)
    try:
        return await perform(
            row,
            seed=seed,
            cycles=given.cycles or cycles,
            pairs=given.pairs or pairs,
            say=lambda line: say(f"  {line}"),
            keep=given.keep,
        )
    except Exception as error:
        traceback.print_exc()
        failed = _skipped(row, seed, "")
        failed.violations.append(f"the row failed: {type(error).__name__}: {error}")
        return failed


def _skipped(row: Row, seed: int, why: str) -> Result:
    return Result(row=row.name, fault=row.fault, how=row.how, seed=seed, skipped=why)


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> int:
    given, results = arguments(), list[Result]()
    if given.list:
        print_rows(Console(width=None if sys.stdout.isatty() else 150))
        return 0
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(given, results))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return 130
    finally:
        if results:
            print_results(results, Console(width=None if sys.stdout.isatty() else 150))
            write_results(results, given.json)
            say(f"written to {given.json}")
            if given.markdown is not None:
                write_markdown(results, given.markdown)
                say(f"written to {given.markdown}")
    bad = [each for each in results if not each.good]
    for each in bad:
        say(f"failed: --row {each.row} --seed {each.seed}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
