"""Which web pages of other origins may use the API: exactly those named, and never with cookies."""

from __future__ import annotations

from collections.abc import Iterable

import aiohttp_cors
from aiohttp import hdrs, web

from rest.http.errors import REQUEST_ID_HEADER
from rest.http.idempotency import HEADER as IDEMPOTENCY_KEY
from rest.http.idempotency import REPLAYED

PREFLIGHT_S = 600
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TAKEN = (hdrs.AUTHORIZATION, hdrs.CONTENT_TYPE, IDEMPOTENCY_KEY, REQUEST_ID_HEADER)
SHOWN = (REQUEST_ID_HEADER, hdrs.RETRY_AFTER, hdrs.WWW_AUTHENTICATE, hdrs.ETAG, REPLAYED)


def allow(app: web.Application, origins: Iterable[str], unshared: frozenset[str]) -> None:
    """Let pages of these origins call every route there is now, but for the paths in `unshared`.

    Call it once, when all routes are there. Without origins nothing changes: browsers then let only
    pages of our own origin read the answers.
    """
    options = aiohttp_cors.ResourceOptions(
        allow_credentials=False,
        allow_methods=METHODS,
        allow_headers=TAKEN,
        expose_headers=SHOWN,
        max_age=PREFLIGHT_S,
    )
    shared = dict.fromkeys(origins, options)
    if not shared:
        return
    cors = aiohttp_cors.setup(app, defaults=shared)
    for route in list(app.router.routes()):
        if route.method != hdrs.METH_OPTIONS and _path(route) not in unshared:
            cors.add(route)
    app.on_response_prepare.append(_vary)


def _path(route: web.AbstractRoute) -> str:
    return "" if route.resource is None else route.resource.canonical


async def _vary(_request: web.Request, response: web.StreamResponse) -> None:
    """What a cache may give to one origin is not what it may give to another."""
    response.headers.add(hdrs.VARY, hdrs.ORIGIN)
