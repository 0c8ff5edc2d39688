"""`python -m tests.faults.node serve --dev`: the server, with a unit of one second.

A fault must fall between two charges, not into the one minute that a short test lasts. Nothing else
differs from `talktime`; the terms are stored with each call, so the books are checked as always.
"""

from typing import Unpack

from server.cli import main
from signalling.core import tariff

UNIT_MS = 1_000
_minute = tariff.minute


def short_minute(
    rate_minor: int,
    *,
    share_bps: int = 7000,
    currency: str = "PTS",
    **more: Unpack[tariff.Extras],
) -> tariff.Tariff:
    more.setdefault("per_ms", UNIT_MS)
    more.setdefault("first_ms", UNIT_MS)
    more.setdefault("next_ms", UNIT_MS)
    more.setdefault("tick_ms", UNIT_MS)
    return _minute(rate_minor, share_bps=share_bps, currency=currency, **more)


if __name__ == "__main__":
    tariff.minute = short_minute
    main()
