"""Limits and timers of the socket and of calls. All times in milliseconds, sizes in bytes."""

import msgspec


class SocketLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one socket may do. `server/config.py` fills it; the defaults are the protocol's."""

    hello_ms: int = 5_000
    frame_bytes_max: int = 65_536
    hello_bytes_max: int = 4_096
    ping_idle_ms: int = 25_000
    dead_idle_ms: int = 60_000
    ping_call_ms: int = 5_000
    dead_call_ms: int = 15_000
    send_queue_bytes_max: int = 1_048_576
    send_queue_frames_max: int = 256
    errors_max: int = 20
    errors_window_ms: int = 10_000
    answers_max: int = 256
    answers_kept_ms: int = 600_000
    resume_ms: int = 60_000
    replay_events_max: int = 256
    replay_bytes_max: int = 262_144
    replay_all_bytes_max: int = 268_435_456  # of all devices of a node together
    devices_per_user_max: int = 5
    sockets_per_address_max: int = 50
    watches_max: int = 200
    call_request_burst: int = 3


class CallLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Timers and bounds of one call, frozen into it when it is requested."""

    reach_ms: int = 20_000
    ring_ms: int = 30_000
    caller_gone_ms: int = 15_000
    connect_ms: int = 20_000
    grace_ms: int = 30_000
    grace_budget_ms: int = 90_000
    grace_window_ms: int = 600_000
    evidence_ms: int = 25_000
    stats_ms: int = 10_000
    duration_max_ms: int = 14_400_000
    settle_wait_ms: int = 2_000
    renew_ms: int = 500
    low_balance_ms: tuple[int, ...] = (120_000, 60_000)
    buffered_signals_max: int = 64
    buffered_bytes_max: int = 131_072
    sdp_bytes_max: int = 32_768
    candidates_max: int = 32
    candidate_bytes_max: int = 1_024
    ice_ttl_ms: int = 600_000
    relay_only: bool = False
    calls_per_hour_max: int = 30
    cooldown_calls: int = 3
    cooldown_ms: int = 600_000


class Rate(msgspec.Struct, frozen=True):
    """A token bucket: `burst` at once, then one every `every_ms`."""

    burst: int
    every_ms: int


RATES = {
    "frames": Rate(100, 50),
    "signal": Rate(200, 50),
    "chat": Rate(20, 500),
    "call_request": Rate(3, 2_000),
}
RECENT_CALLS_MS = 600_000
RECENT_CALLS_MAX = 10
