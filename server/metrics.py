"""What Prometheus reads at /metrics. Routes are named by template, never by path or user."""

import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from ipaddress import ip_address

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from prometheus_client.metrics_core import CounterMetricFamily
from prometheus_client.registry import Collector

BEARER = "Bearer "
PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)
SHORT_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)
CALL_SECONDS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60)


class Metrics:
    """One registry per app, so that several can live in one process.

    With a `token`, whoever bears it may read from anywhere; this host's own addresses always may.
    No label holds a user, a path or an id.
    """

    def __init__(self, token: str = "", *, version: str = "") -> None:
        self._token = token
        # Requests, and those of them that were answered 5xx, of this process.
        self.requests_seen = 0
        self.errors_seen = 0
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Gauge("talktime_build_info", "1, labelled.", ["version"], registry=registry)
        build.labels(version).set(1)
        self._requests = self._seconds(
            "http_request", "Time to answer a request.", HTTP_SECONDS, "method", "route", "status"
        )

        # As labelled before: looking that up by its texts is dearer than the counting.
        self._answers: dict[tuple[str, str, int], Histogram] = {}

        self.calls_started = self._count("calls_started", "Calls that were authorised.", "kind")
        self.calls_ended = self._count("calls_ended", "Ended calls.", "reason")
        self._adopted = self._count(
            "calls_adopted", "Calls taken over from other nodes, or earlier lives.", "how"
        )
        self._fenced = self._count("nodes_fenced", "Other nodes that this one found dead.")
        self.call_ring = self._seconds(
            "call_ring", "From a request to the first ring.", CALL_SECONDS
        )
        self.call_setup = self._seconds(
            "call_setup", "From a request to both legs' media.", CALL_SECONDS
        )
        self.media_legs = self._count(
            "media_legs", "Legs that had media, or had it again.", "route"
        )
        self.media_setup = self._seconds(
            "media_setup", "From a leg's offer or answer to its media.", CALL_SECONDS, "route"
        )
        self._turn_sessions = self._count(
            "turn_sessions_ended", "Sessions of ended calls that the TURN server was told to end."
        )
        self.ticks = self._count("meter_ticks", "Billed slices of calls that were posted and told.")
        self.drift = self._seconds(
            "meter_drift",
            "How long after its beginning a slice was posted and told.",
            SHORT_SECONDS,
        )
        self.charged = self._count("money_charged_minor", "Charged for calls.", "currency")
        self._slices = self._seconds(
            "ledger_slice", "Time to write what calls asked of the ledger.", SHORT_SECONDS
        )
        self._slice_works = Histogram(
            "talktime_ledger_slice_works",
            "Works written in one transaction.",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200),
            registry=registry,
        )

        self.jobs_waiting = self._gauge("jobs_waiting", "Jobs that are due.", "name")
        self.jobs_failed = self._gauge("jobs_failed", "Jobs that were given up.", "name")
        self._jobs_done = self._count("jobs_done", "Tries of jobs on this node.", "name", "outcome")
        self._jobs_seconds = self._seconds(
            "jobs", "Time of one try of a job.", CALL_SECONDS, "name"
        )
        self.outbox_waiting = self._gauge("outbox_waiting", "Notices that are not told yet.")

        self._codes = self._count("otp_sent", "One-time codes.", "outcome")
        self._pushes = self._count("pushes", "Pushes to sleeping phones.", "adapter", "outcome")
        self._webhook_tries = self._count("webhook_tries", "Tries to tell a webhook.", "outcome")
        for outcome in ("delivered", "retried", "failed"):
            # There before the first, or that one would be no increase.
            self._webhook_tries.labels(outcome)
        self._webhooks = self._count("webhooks", "News from gateways.", "gateway", "outcome")
        self._payments = self._count("payments_completed", "Payments that came in.", "gateway")

        self.loop_lag = self._seconds("event_loop_lag", "How late the loop was.", SHORT_SECONDS)
        self.gc_pause = self._seconds("gc_pause", "Collections.", SHORT_SECONDS, "generation")

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        key = (method, route, status)
        found = self._answers.get(key)
        if found is None:
            found = self._answers[key] = self._requests.labels(*key)
        found.observe(seconds)
        self.requests_seen += 1
        self.errors_seen += status >= 500

    def job_done(self, name: str, outcome: str, seconds: float) -> None:
        self._jobs_done.labels(name, outcome).inc()
        self._jobs_seconds.labels(name).observe(seconds)

    def call_adopted(self, how: str) -> None:
        self._adopted.labels(how).inc()

    def nodes_fenced(self, count: int) -> None:
        self._fenced.inc(count)

    def code_sent(self, outcome: str) -> None:
        self._codes.labels(outcome).inc()

    def push_went(self, adapter: str, outcome: str) -> None:
        self._pushes.labels(adapter, outcome).inc()

    def webhook_tried(self, outcome: str) -> None:
        self._webhook_tries.labels(outcome).inc()

    def slice_written(self, seconds: float, works: int) -> None:
        """A transaction without work was a heartbeat."""
        if works:
            self._slices.observe(seconds)
            self._slice_works.observe(works)

    def gateway_spoke(self, gateway: str, source: str, outcome: str) -> None:
        if source == "webhook":
            self._webhooks.labels(gateway, outcome).inc()
        if outcome == "completed":
            self._payments.labels(gateway).inc()

    def relays_ended(self, count: int) -> None:
        self._turn_sessions.inc(count)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge whose value is asked for when Prometheus comes."""
        Gauge(name, text, registry=self.registry).set_function(read)

    def watch_count(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A counter that somebody else keeps; its name ends in `_total`."""
        self.registry.register(_Kept(name, text, (), lambda: {(): read()}))

    def watch_counts(
        self, name: str, text: str, label: str, read: Callable[[], Mapping[str, float]]
    ) -> None:
        """As `watch_count`, for each value of a label."""
        self.registry.register(
            _Kept(name, text, (label,), lambda: {(value,): n for value, n in read().items()})
        )

    def _count(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"talktime_{name}_total", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"talktime_{name}", text, labels, registry=self.registry)

    def _seconds(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(
            f"talktime_{name}_seconds", text, labels, buckets=buckets, registry=self.registry
        )

    def samples(self) -> Iterator[tuple[str, Mapping[str, str], float]]:
        """Every figure now: name, labels, value."""
        for family in self.registry.collect():
            for sample in family.samples:
                yield sample.name, sample.labels, sample.value

    async def handle(self, request: web.Request) -> web.Response:
        if not (is_from_here(request) or self._knows(request)):
            raise web.HTTPNotFound
        return web.Response(
            body=generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}
        )

    def _knows(self, request: web.Request) -> bool:
        given = request.headers.get("Authorization", "")
        if not self._token or not given.startswith(BEARER):
            return False
        # A header may hold bytes that are no UTF-8; aiohttp keeps them as surrogates.
        borne = given.removeprefix(BEARER).encode(errors="surrogateescape")
        return hmac.compare_digest(borne, self._token.encode())


class _Kept(Collector):
    """Counters that are kept elsewhere, read when Prometheus comes."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Mapping[tuple[str, ...], float]],
    ) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._read = read

    def describe(self) -> Iterable[CounterMetricFamily]:
        return [CounterMetricFamily(self._name, self._text, labels=self._labels)]

    def collect(self) -> Iterable[CounterMetricFamily]:
        (family,) = self.describe()
        for values, count in self._read().items():
            family.add_metric(values, count)
        return [family]


def is_from_here(request: web.Request) -> bool:
    """Asked by this host itself, not by a proxy on it for somebody else."""
    passed_on = any(name in request.headers for name in PROXY_HEADERS)
    return is_loopback(request.remote) and not passed_on


def is_loopback(remote: str | None) -> bool:
    try:
        return ip_address(remote or "").is_loopback
    except ValueError:
        return False
