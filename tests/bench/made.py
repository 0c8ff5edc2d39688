"""Figures and results made by hand, for the tests of what reads them."""

from tests.bench.environment import Machine
from tests.bench.ratios import MANNERS, rate_of
from tests.bench.results import Figure, Result

HERE = Machine(cpu="A processor", cores=2, memory_bytes=8 * 2**30, kernel="Linux 6.1 x86_64")


def figure(
    *values: float, bench: str = "calls", name: str = "rate", unit: str = "/s", target: str = ""
) -> Figure:
    return Figure.of(bench, name, unit, target, values)


def rate(manner: str, *values: float, relay: str = "") -> Figure:
    """Calls per CPU-second of a relay, or of ours."""
    bench, name = rate_of(manner, relay)
    return figure(*values, bench=bench, name=name, unit="calls/CPU-s")


def result(*figures: Figure, runs: int = 1, machine: Machine = HERE, commit: str = "") -> Result:
    return Result(
        at="2026-11-25T10:48:04Z",
        commit=commit,
        options={"quick": False, "benches": ["calls"]},
        runs=runs,
        machine=machine,
        python="CPython 3.11.7",
        versions={"aiohttp": "3.14.5"},
        load_average=(0.1, 0.1, 0.1),
        figures=figures,
    )


def calls(**relays: float) -> Result:
    """Both manners of ours at 1 000, and of these relays."""
    return result(
        *(rate(manner, 1_000) for manner in MANNERS),
        *(
            rate(manner, value, relay=relay.replace("_", " "))
            for manner in MANNERS
            for relay, value in relays.items()
        ),
    )
