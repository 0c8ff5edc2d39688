"""The server with what no setting changes: `python -m tests.bench.tuned [--unit-ms N] [--no-rates]
ARGUMENTS…`, the arguments as of `talktime`.

`--unit-ms` bills units of so long instead of a minute, so that a short run has many of them;
`--no-rates` lets few devices send as much as many, so that few are enough for a full load.
"""

import argparse
import sys
from functools import partial

from server.cli import main
from signalling.core import admission, tariff
from signalling.limits import RATES, Rate

if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--unit-ms", type=int)
    parser.add_argument("--no-rates", action="store_true")
    given, sys.argv[1:] = parser.parse_known_args()
    if given.unit_ms:
        unit_ms = given.unit_ms
        admission.from_terms = partial(  # type: ignore[attr-defined]
            tariff.from_terms, first_ms=unit_ms, next_ms=unit_ms, tick_ms=unit_ms
        )
    if given.no_rates:
        RATES.update(dict.fromkeys(RATES, Rate(1_000_000, 1)))
    main()
