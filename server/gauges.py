"""The gauges of a server's live part; each is read when Prometheus comes."""

from collections.abc import Callable

from server.call_watch import hold_age_s, relayed_legs
from server.metrics import Metrics
from signalling.core.gate import Gate
from signalling.node import LiveNode


def watch_server(
    metrics: Metrics,
    live: LiveNode,
    *,
    gate: Gate,
    clock: Callable[[], int],
    ledger_waiting: Callable[[], int],
    passwords_waiting: Callable[[], int],
) -> None:
    """`clock` gives Unix ms; the other two how many works wait for the ledger, and passwords to be
    hashed."""
    watch = metrics.watch
    watch("talktime_ws_connections", "Open sockets.", lambda: live.hub.sockets)
    watch("talktime_devices_connected", "Devices with a socket.", lambda: live.hub.count)
    watch("talktime_calls_active", "Live calls on this node.", lambda: len(live.registry))
    watch(
        "talktime_relayed_legs_active",
        "Legs whose media goes through a TURN server.",
        lambda: relayed_legs(host.call for host in live.registry.hosts()),
    )
    watch(
        "talktime_hold_age_seconds",
        "Since when money has been held for the oldest live call of this node.",
        lambda: hold_age_s((host.call for host in live.registry.hosts()), clock()),
    )
    watch("talktime_ledger_waiting", "Ledger works not yet written.", ledger_waiting)
    watch("talktime_argon2_waiting", "Passwords to hash.", passwords_waiting)
    metrics.watch_count(
        "talktime_calls_turned_away_total",
        "Requests for calls that came while the node was too busy.",
        lambda: gate.refused,
    )
    metrics.watch_counts(
        "talktime_sessions_resumed_total",
        "Devices that were welcomed: with their session, or with a fresh one.",
        "outcome",
        lambda: {
            "resumed": live.hub.resumes.resumed,
            "fresh": live.hub.resumes.fresh,
            "refused": live.hub.resumes.refused,
        },
    )
