"""How we compare with others: whole paid calls with calls that are merely relayed, and the rest."""

from tests.bench.report import Report

MANNERS = {"full load": False, "full load, bursts": True}
"""Whether each side sends its ten candidates at once, or each signal is a packet of its own."""

BARE = "bare aiohttp"
FLOOR = "bare C"
UWEBSOCKETS = "uWebSockets"
WS = "node ws"
PEERJS = "PeerJS"
SOCKETIO = "Socket.IO"
RELAYS = {
    BARE: ("machine", ""),
    FLOOR: ("peers", ""),
    UWEBSOCKETS: ("peers", "≥ 0.40, then 0.50"),
    WS: ("peers", ""),
    PEERJS: ("peers", "≥ 1.0, then 1.25"),
    SOCKETIO: ("peers", ""),
}
"""The benchmark that has each relay's figures, and what ours is to reach of it."""

RATE = 2_000
RATES = (RATE, 10_000)
"""Messages a second through live calls; the second is 17 a device, and a device may send 20."""

_LATENCIES: tuple[tuple[int, str, str, str], ...] = (
    *((rate, BARE, "≤ 1.3", "≤ 2") for rate in RATES),
    (RATE, FLOOR, "≤ 1.5", ""),
    (RATE, PEERJS, "", "≤ 0.5"),
)
"""At which rate ours is compared with which relay, and what it may be of its p50 and p99."""

BALANCES = "full load, per CPU-second"
"""Of `GET /wallet/balance`, ours in `rest` and theirs in `fastapi`."""


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


def at(rate: int) -> str:
    return f"relay at {rate:_}/s".replace("_", " ")


def add_latency_ratios(report: Report) -> None:
    """Of a signal through a live call, to what the same run has measured of relays."""
    for rate, relay, *targets in _LATENCIES:
        bench = RELAYS[relay][0]
        theirs_at = at(rate) if relay == BARE else f"{relay}, {at(rate)}"
        for name, target in zip(("p50", "p99"), targets, strict=True):
            ours = report.value("relay", f"{at(rate)} {name}")
            theirs = report.value(bench, f"{theirs_at} {name}")
            if ours and theirs:
                report.add(f"{at(rate)} {name} to {relay}", ours / theirs, "×", target)


def add_balance_ratio(report: Report) -> None:
    """For what the same run has measured."""
    ours, theirs = report.value("rest", BALANCES), report.value("fastapi", BALANCES)
    if ours and theirs:
        report.add(f"{BALANCES}: ours ÷ FastAPI with a pool", ours / theirs, "× the rate", "≥ 3")
