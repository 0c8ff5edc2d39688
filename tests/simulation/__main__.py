"""`python -m tests.simulation --seeds N --from S`: many runs, up to the first that fails."""

import argparse
import sys
import time
import traceback

from tests.simulation.run import LIFE_MS, simulate


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many")
    parser.add_argument("--from", type=int, default=1, dest="first", help="the first seed")
    parser.add_argument("--life-s", type=int, default=LIFE_MS // 1000, help="time with faults")
    given = parser.parse_args()
    started_s = time.monotonic()
    calls = charged = 0
    reasons: dict[str, int] = {}
    for seed in range(given.first, given.first + given.seeds):
        try:
            result = simulate(seed, given.life_s * 1000)
        except Exception:
            traceback.print_exc()
            print(f"seed {seed} failed; again: python -m tests.simulation --seeds 1 --from {seed}")
            return 1
        calls += result.calls
        charged += result.charged_minor
        for reason, count in result.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    took_s = time.monotonic() - started_s
    print(f"{given.seeds} seeds, {calls} calls, {charged} charged, {took_s:.1f} s")
    print(", ".join(f"{reason} {count}" for reason, count in sorted(reasons.items())))
    return 0


sys.exit(main())
