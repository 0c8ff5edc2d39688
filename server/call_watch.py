"""Figures and the one log line of each call, from what its state says of itself."""

import logging
from collections.abc import Iterable
from functools import cache

from server.metrics import Metrics
from signalling.codes import State
from signalling.core.meter import at_ms
from signalling.core.model import Call
from storage.calls import CallRow

log = logging.getLogger(__name__)


class CallWatch:
    """The watcher of this node's calls (`signalling.calls.watcher`)."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        # Looking a label up costs more than counting.
        self._started = cache(metrics.calls_started.labels)
        self._ended = cache(metrics.calls_ended.labels)
        self._charged = cache(metrics.charged.labels)
        self._legs = cache(metrics.media_legs.labels)

    def moved(self, before: Call | None, call: Call, now_ms: int) -> None:
        metrics = self._metrics
        if before is None:
            self._started(call.kind).inc()
            return
        if before.ringing_ms is None and call.ringing_ms is not None:
            metrics.call_ring.observe((call.ringing_ms - call.created_ms) / 1000)
        if before.connected_ms is None and call.connected_ms is not None:
            metrics.call_setup.observe((call.connected_ms - call.created_ms) / 1000)
        told = call.meter.told_slice - before.meter.told_slice
        if told > 0:
            metrics.ticks.inc(told)
            late_ms = lateness_ms(call, now_ms)
            if late_ms is not None:
                metrics.drift.observe(late_ms / 1000)
        charged = charged_minor(call) - charged_minor(before)
        if charged > 0:
            self._charged(call.meter.tariff.currency).inc(charged)
        if call.state is State.ENDED and before.state is not State.ENDED:
            self._ended(str(call.reason)).inc()
        if call.final is not None and before.final is None:
            tell(call)

    def flows(self, relay: bool | None, ms: int) -> None:
        route = {True: "relay", False: "direct", None: "unknown"}[relay]
        self._legs(route).inc()
        if ms:
            self._metrics.media_setup.labels(route).observe(ms / 1000)

    def refused(self, row: CallRow) -> None:
        self._ended(str(row.reason)).inc()
        log.info(
            "call ended",
            extra={
                "call_id": str(row.call_id),
                "reason": row.reason,
                "by": row.ended_by,
                "units": 0,
                "charged_minor": 0,
                "talk_s": 0,
            },
        )


def hold_age_s(calls: Iterable[Call], now_ms: int) -> float:
    """For how long money has been held for the oldest of these calls; 0 if there are none."""
    return max((now_ms - call.created_ms for call in calls), default=0) / 1_000


def relayed_legs(calls: Iterable[Call]) -> int:
    """Legs whose media goes through a TURN server, by what they last said."""
    return sum(leg.relay is True for call in calls for leg in (call.caller, call.callee))


def lateness_ms(call: Call, now_ms: int) -> int | None:
    """How long ago the slice just told began; None if the meter stands still meanwhile."""
    meter = call.meter
    if meter.since_ms is None:
        return None
    return max(0, now_ms - at_ms(meter, meter.told_slice * meter.tariff.tick_ms))


def charged_minor(call: Call) -> int:
    """What the books say so far; a settlement that failed says nothing new."""
    if call.final is not None and call.final.settled:
        return call.final.total
    return call.meter.charged_minor


def tell(call: Call) -> None:
    final = call.final
    assert final is not None
    log.info(
        "call ended",
        extra={
            "call_id": str(call.id),
            "reason": call.reason,
            "by": call.by,
            "units": final.units,
            "charged_minor": final.total,
            "currency": call.meter.tariff.currency,
            "talk_s": final.talk_seconds,
            "settled": final.settled,
        },
    )
