"""`python -m tests.simulation --seeds N --seed S`: many runs, up to the first that fails."""

import argparse
import sys
import time
import traceback

import msgspec

from tests.simulation.run import LIFE_MS, plan_of, simulate
from tests.simulation.world import FAULTS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first seed")
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--calls", type=int, help="go on until there were so many calls")
    parser.add_argument("--minutes", type=float, help="go on for so long")
    parser.add_argument("--nodes", type=int, help="how many nodes; else the seed says it")
    parser.add_argument("--life-s", type=int, default=LIFE_MS // 1000, help="time with faults")
    parser.add_argument("--faults", help=f"some of {','.join(FAULTS)}; else the seed says it")
    parser.add_argument("--keep-going", action="store_true", help="count the seeds that fail")
    parser.add_argument("--trace", help="write the trace of the last run to this file")
    parser.add_argument("--digest", action="store_true", help="print the digest of each run")
    given = parser.parse_args()
    faults = None
    if given.faults is not None:
        faults = frozenset(fault for fault in given.faults.split(",") if fault)
    began_s, cpu_s = time.monotonic(), time.process_time()
    totals: dict[str, int] = {}
    calls = seeds = failed = 0
    seed = given.seed
    while True:
        until = given.calls is not None or given.minutes is not None
        if given.calls is not None and calls >= given.calls:
            break
        if given.minutes is not None and time.monotonic() - began_s >= given.minutes * 60:
            break
        if not until and seeds >= given.seeds:
            break
        keep: list[str] | None = [] if given.trace else None
        plan = plan_of(seed, nodes=given.nodes, life_ms=given.life_s * 1000, faults=faults)
        try:
            result = simulate(seed, plan, keep)
        except Exception as error:
            failed += 1
            if given.keep_going:
                print(f"seed {seed}: {type(error).__name__} {str(error)[:300]}", flush=True)
            else:
                traceback.print_exc()
            print(f"seed {seed} failed: {msgspec.json.encode(plan).decode()}")
            if not given.keep_going:
                return 1
        else:
            calls += result.calls
            for name, count in [*result.reasons.items(), *result.counts.items()]:
                totals[name] = totals.get(name, 0) + count
            if given.digest:
                print(seed, result.digest)
        finally:
            if keep is not None:
                with open(given.trace, "w") as file:
                    file.write("\n".join(keep))
        seeds += 1
        seed += 1
        if seeds % 50 == 0:
            rate = calls * 60 / (time.process_time() - cpu_s)
            print(f"{seeds} seeds, {calls} calls, {rate:.0f} calls a CPU minute", flush=True)
    used_s = time.process_time() - cpu_s
    print(f"{seeds} seeds, {failed} failed, {calls} calls, {used_s:.1f} s of CPU, "
          f"{calls * 60 / used_s:.0f} calls a CPU minute")  # fmt: skip
    print(", ".join(f"{name} {count}" for name, count in sorted(totals.items())))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
