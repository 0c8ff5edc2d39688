"""The small parts every frame and every unit goes through, beside what they cannot be cheaper than.

Each figure is one call from a lambda, so the floor of all is an empty one.
"""

import json

import msgspec

from signalling.core import tariff
from signalling.events import CallTick
from signalling.frames import decode_data, decode_frame, encode_event, finish
from signalling.limits import RATES
from signalling.sockets.throttle import TokenBucket, TokenBuckets, Window
from tests.bench.lab import Lab
from tests.bench.pairs import CANDIDATE, ID_EXAMPLE, OFFER
from tests.bench.timing import empty_call_ns, fastest_ns

NOW_MS = 1_795_603_684_194
KEYS = 1_000
SMALL = b'{"type":"media_stats","call":"%b","data":{"inBytes":354000,"outBytes":333000,"rttMs":40}}'
LARGE = OFFER.replace(b"a=rtpmap:111 opus", b"a=rtpmap:111 opus/48000/2 fmtp:111")
FRAMES = {
    "report of 0.1 kB": SMALL % ID_EXAMPLE,
    "candidate of 0.25 kB": CANDIDATE % ID_EXAMPLE,
    "offer of 2 kB": LARGE % ID_EXAMPLE,
}
TICK = CallTick(
    unit=2,
    charged=120,
    total=240,
    billed_seconds=120,
    funded_until=NOW_MS + 60_000,
    status="funded",
    balance=760,
)
TARIFFS = {"by minutes": tariff.minute(120), "by seconds": tariff.second(120)}


async def bench_codec(lab: Lab) -> None:
    """Frames to structs and events to frames."""
    _floor(lab)
    for name, frame in FRAMES.items():
        _decoding(lab, name, frame)
    bare_ns = fastest_ns(lab, lambda: msgspec.json.encode(TICK))
    ours_ns = fastest_ns(lab, lambda: encode_event(TICK, NOW_MS, call=ID_EXAMPLE, rev=7))
    _beside(lab, "event: encode, once for all", ours_ns, "event: floor, its data alone", bare_ns)
    event = encode_event(TICK, NOW_MS, call=ID_EXAMPLE, rev=7)
    bare_ns = fastest_ns(lab, lambda: event.head + event.tail)
    ours_ns = fastest_ns(lab, lambda: finish(event, 41))
    _beside(lab, "event: finish for a device", ours_ns, "event: floor, to join two parts", bare_ns)


def _decoding(lab: Lab, name: str, frame: bytes) -> None:
    plain = msgspec.json.Decoder()
    ours_ns = fastest_ns(lab, lambda: decode_data(decode_frame(frame)))
    bare_ns = fastest_ns(lab, lambda: plain.decode(frame))
    _beside(lab, f"{name}: decode and check", ours_ns, f"{name}: floor, msgspec to a dict", bare_ns)
    json_ns = fastest_ns(lab, lambda: json.loads(frame))
    lab.report.add(f"{name}: json.loads", json_ns, "ns")


async def bench_tariff(lab: Lab) -> None:
    """What an amount of time costs, and when it next costs more."""
    _floor(lab)
    at_ms, per_ms = 3 * tariff.MINUTE_MS + 1, tariff.MINUTE_MS
    lab.report.add("floor: one division", fastest_ns(lab, lambda: -(-at_ms // per_ms)), "ns")
    for name, terms in TARIFFS.items():
        _pricing(lab, name, terms, at_ms)


def _pricing(lab: Lab, name: str, terms: tariff.Tariff, at_ms: int) -> None:
    report = lab.report
    report.add(f"cost, {name}", fastest_ns(lab, lambda: tariff.cost(terms, at_ms)), "ns")
    next_ns = fastest_ns(lab, lambda: tariff.next_step(terms, at_ms))
    report.add(f"next boundary, {name}", next_ns, "ns")
    ahead_ns = fastest_ns(lab, lambda: tariff.horizon(terms, 760))
    report.add(f"how far money reaches, {name}", ahead_ns, "ns")


async def bench_throttle(lab: Lab) -> None:
    """The counters in front of every frame, which never come to their end here."""
    _floor(lab)
    rate = RATES["frames"]
    bucket, buckets, window = TokenBucket(rate), TokenBuckets(rate), Window(2**62, 10_000)
    keys = [f"user-{number}" for number in range(KEYS)]
    for key in keys:
        buckets.take(key, NOW_MS)
    now_ms, turn = NOW_MS, 0

    def later() -> int:
        nonlocal now_ms
        now_ms += rate.every_ms
        return now_ms

    def next_key() -> str:
        nonlocal turn
        turn += 1
        return keys[turn % KEYS]

    lab.report.add("floor: what moves the clock", fastest_ns(lab, later), "ns")
    lab.report.add("one bucket", fastest_ns(lab, lambda: bucket.take(later())), "ns")
    empty = TokenBucket(rate)
    while not empty.take(NOW_MS):
        pass
    lab.report.add("one bucket, refused", fastest_ns(lab, lambda: empty.take(NOW_MS)), "ns")
    among_ns = fastest_ns(lab, lambda: buckets.take(next_key(), later()))
    lab.report.add(f"a bucket among {KEYS}", among_ns, "ns")
    lab.report.add("a window", fastest_ns(lab, lambda: window.over(NOW_MS)), "ns")


def _floor(lab: Lab) -> None:
    lab.report.add("floor: an empty call", empty_call_ns(lab), "ns")


def _beside(lab: Lab, name: str, ours_ns: float, floor: str, floor_ns: float) -> None:
    lab.report.add(name, ours_ns, "ns")
    lab.report.add(floor, floor_ns, "ns")
    lab.report.add(f"{name}, to the floor", ours_ns / floor_ns, "×")
