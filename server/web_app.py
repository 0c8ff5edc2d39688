"""The aiohttp application: routes, sockets, pages, and what stands around all of them."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import ip_network

from aiohttp import web

from rest.http.route import Route
from server.access import Access
from server.cors import allow
from server.metrics import Metrics
from server.middlewares import Around, install
from server.rates import Rates, rate
from server.routes import Parts, mount_all
from signalling.sockets.endpoint import SocketEndpoint

SOCKET_PATHS = ("/ws", "/ws/call")


def make_web_app(
    parts: Parts, routes: Sequence[Route], endpoint: SocketEndpoint, metrics: Metrics
) -> web.Application:
    config = parts.config
    app = web.Application(client_max_size=config.frame_bytes_max)
    rates = Rates(
        address=rate(config.address_burst, config.address_per_s),
        user=rate(config.user_burst, config.user_per_s),
        clock=parts.clock,
    )
    unbounded = frozenset(SOCKET_PATHS)
    around = Around(
        unbounded=unbounded,
        observe=metrics.observe,
        trusted_proxies=[ip_network(text) for text in config.trusted_proxies],
        admit=rates.admit,
        https_only=config.public_url.startswith("https://"),
    )
    install(app, around)
    access = Access(parts.keys, session_is_live=parts.sessions.is_live, admit=rates.admit_user)
    mount_all(app, list(routes), access, parts, metrics)
    for path in SOCKET_PATHS:
        app.router.add_get(path, endpoint.handle)
    allow(app, config.cors_origins, unshared=unbounded | {"/metrics"})
    return app
