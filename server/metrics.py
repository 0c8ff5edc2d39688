"""What Prometheus reads at /metrics. Routes are named by template, never by path or user."""

import hmac
from collections.abc import Callable
from ipaddress import ip_address

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

BEARER = "Bearer "
PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "X-Real-IP", "Via")
HTTP_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """One registry per app, so that several can live in one process.

    With a `token`, whoever bears it may read from anywhere; this host's own addresses always may.
    """

    def __init__(self, token: str = "") -> None:
        self._token = token
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "talktime_http_request_seconds",
            "Time to answer a request.",
            ["method", "route", "status"],
            buckets=HTTP_SECONDS,
            registry=self.registry,
        )
        self.calls_ended = Counter(
            "talktime_calls_ended_total", "Ended calls.", ["reason"], registry=self.registry
        )
        self.calls_recovered = Counter(
            "talktime_calls_recovered_total",
            "Calls of a dead server, settled at start.",
            registry=self.registry,
        )

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, status).observe(seconds)

    def watch(self, name: str, text: str, read: Callable[[], float]) -> None:
        """A gauge whose value is asked for when Prometheus comes."""
        Gauge(name, text, registry=self.registry).set_function(read)

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
        return hmac.compare_digest(given.removeprefix(BEARER).encode(), self._token.encode())


def is_from_here(request: web.Request) -> bool:
    """Asked by this host itself, not by a proxy on it for somebody else."""
    passed_on = any(name in request.headers for name in PROXY_HEADERS)
    return is_loopback(request.remote) and not passed_on


def is_loopback(remote: str | None) -> bool:
    try:
        return ip_address(remote or "").is_loopback
    except ValueError:
        return False
