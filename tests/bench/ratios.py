"""How our whole paid calls compare with calls that others merely relay."""

from tests.bench.report import Report

MANNERS = {"full load": False, "full load, bursts": True}
"""Whether each side sends its ten candidates at once, or each signal is a packet of its own."""

BARE = "bare aiohttp"
RELAYS = {
    BARE: ("machine", ""),
    "PeerJS": ("peers", "≥ 1.0, then 1.25"),
    "Socket.IO": ("peers", ""),
}
"""The benchmark that has each relay's figures, and what ours is to reach of it."""


def rate_of(manner: str, relay: str = "") -> tuple[str, str]:
    """Benchmark and name of the calls per CPU-second of a relay; of ours without one."""
    name = f"{manner}: calls per CPU-second"
    return (RELAYS[relay][0], f"{relay}, {name}") if relay else ("calls", name)


def add_ratios(report: Report) -> None:
    """For what the same run has measured."""
    for manner in MANNERS:
        ours = report.value(*rate_of(manner))
        for relay, (_, target) in RELAYS.items():
            theirs = report.value(*rate_of(manner, relay))
            if ours and theirs:
                name = (
                    f"{manner}: our whole paid call ÷ bare relay by {relay.removeprefix('bare ')}"
                )
                report.add(name, ours / theirs, "× the rate", target)
