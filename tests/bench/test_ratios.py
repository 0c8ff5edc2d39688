"""What is compared with what."""

from tests.bench.ratios import (
    BALANCES,
    BARE,
    FLOOR,
    PEERJS,
    RATE,
    add_balance_ratio,
    add_latency_ratios,
    at,
)
from tests.bench.report import Report
from tests.bench.results import Figure


def compared(*measured: tuple[str, str, float]) -> list[Figure]:
    """The ratios of a run that has found these."""
    report = Report()
    report.begin_run()
    for report.bench, name, value in measured:
        report.add(name, value, "ms")
    add_latency_ratios(report)
    add_balance_ratio(report)
    return list(report.figures)[len(measured) :]


def test_a_latency_is_compared_with_each_relay_that_was_measured() -> None:
    found = compared(
        ("machine", f"{at(RATE)} p50", 0.1),
        ("peers", f"{FLOOR}, {at(RATE)} p50", 0.05),
        ("peers", f"{PEERJS}, {at(RATE)} p99", 0.4),
        ("relay", f"{at(RATE)} p50", 0.1),
        ("relay", f"{at(RATE)} p99", 0.2),
    )
    assert [(each.name, each.median, each.unit, each.target) for each in found] == [
        (f"relay at 2 000/s p50 to {BARE}", 1.0, "×", "≤ 1.3"),
        (f"relay at 2 000/s p50 to {FLOOR}", 2.0, "×", "≤ 1.5"),
        (f"relay at 2 000/s p99 to {PEERJS}", 0.5, "×", "≤ 0.5"),
    ]


def test_nothing_is_compared_with_what_was_not_measured() -> None:
    assert compared(("relay", f"{at(RATE)} p50", 0.1), ("rest", BALANCES, 9_000)) == []


def test_balances_are_compared_for_each_second_of_cpu() -> None:
    (ratio,) = compared(("fastapi", BALANCES, 2_500), ("rest", BALANCES, 10_000))
    assert (ratio.median, ratio.unit, ratio.target) == (4.0, "× the rate", "≥ 3")
