"""What happens around every request: its id and log line, errors as JSON, a deadline, headers."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from time import perf_counter

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from rest.http.body import refuse_tokens
from rest.http.errors import REQUEST_ID, REQUEST_ID_HEADER, Problem, answer, internal, problem_of
from rest.http.identity import IDENTITY, Identity
from server.logs import bind
from storage.deadline import Deadline
from storage.ids import new_text_id, parse_id

Network = IPv4Network | IPv6Network
# Method, route template (never the path: that may hold anything), status, seconds.
Observe = Callable[[str, str, int, float], None]

FORWARDED = "X-Forwarded-For"
DEADLINE_S = 30.0
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-site",
}

# For a year, browsers ask for nothing here but by HTTPS.
HTTPS_ONLY = {"Strict-Transport-Security": "max-age=31536000"}

_request_id = re.compile(r"[A-Za-z0-9._-]{1,64}")
# `[v6]`, `[v6]:port` or `v4:port`.
_hop = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5})", re.ASCII)
_lines = logging.getLogger("talktime.http")
_log = structlog.stdlib.get_logger(_lines.name)


@dataclass(frozen=True, slots=True)
class Around:
    """Settings. `unbounded` are exact paths without a deadline (the socket's, which has limits of
    its own). `admit` is asked about every request but those of `free` paths, and raises.
    `https_only` tells browsers to come by HTTPS."""

    deadline_s: float = DEADLINE_S
    unbounded: frozenset[str] = frozenset({"/ws"})
    free: frozenset[str] = frozenset({"/health", "/ready", "/metrics"})
    admit: Callable[[web.Request], None] | None = None
    trusted_proxies: Sequence[Network] = ()
    observe: Observe | None = None
    https_only: bool = False


def install(app: web.Application, around: Around | None = None) -> None:
    """Put the middleware and the headers around every request of `app`."""
    settings = around or Around()
    app.middlewares.append(_around(settings))
    headers = SECURITY_HEADERS | (HTTPS_ONLY if settings.https_only else {})

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        sign_off(response, headers, request.get(REQUEST_ID))

    app.on_response_prepare.append(add_headers)


def _around(settings: Around) -> Middleware:
    """All in one: each middleware of its own would cost every request a coroutine more."""
    bounded = _bounds(settings)
    # As logging is set up now; to ask for that anew costs each line a tenth.
    log = _log.bind()

    @web.middleware
    async def around(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get(REQUEST_ID_HEADER, "")
        request_id = given if _request_id.fullmatch(given) else new_text_id()
        # The answer is prepared with this object, not with a copy made below.
        request[REQUEST_ID] = request_id
        seen = request
        address = forwarded_address(request, settings.trusted_proxies)
        if address is not None:
            seen = request.clone(remote=address)
        route = template_of(request)
        if "/calls/{id}" in route:
            bind(request_id=request_id, call_id=request.match_info["id"])
        else:
            bind(request_id=request_id)
        began_s = perf_counter()
        status = 499  # Not sent: what the log says when the client left before the answer.
        try:
            response = await bounded(seen, handler)
            status = response.status
        except Exception as error:
            if isinstance(error, web.HTTPException) and error.status < 400:
                status = error.status
                raise
            response = _failure(seen, error)
            status = response.status
        finally:
            seconds = perf_counter() - began_s
            # Asked before the line is made, which costs more than a line that is not wanted may.
            if _lines.isEnabledFor(logging.INFO):
                log.info("request", **_line(seen, route, status, seconds))
            if settings.observe is not None:
                settings.observe(request.method, route, status, seconds)
        return response

    return around


def _bounds(settings: Around) -> Callable[[web.Request, Handler], Awaitable[web.StreamResponse]]:
    """What a request must not be, and the deadline of those that may pass."""
    deadline = Deadline(settings.deadline_s)
    admit, free, unbounded = settings.admit, settings.free, settings.unbounded

    async def bounded(request: web.Request, handler: Handler) -> web.StreamResponse:
        refuse_tokens(request)
        if _upgrades_with_body(request):
            raise Problem(400, "BAD_REQUEST", "An upgrade has no body.")
        path = request.path
        if admit is not None and path not in free:
            admit(request)
        if path in unbounded:
            return await handler(request)
        span = deadline()
        try:
            async with span:
                return await handler(request)
        except TimeoutError:
            if not span.expired:
                raise
            raise Problem(
                503, "UNAVAILABLE", "This took too long; try again.", retry_after_ms=1000
            ) from None

    return bounded


def _failure(request: web.Request, error: Exception) -> web.Response:
    """A refusal or a mistake, as the one failure wrapper."""
    request_id = request[REQUEST_ID]
    problem = problem_of(error)
    if problem is None:
        _log.exception("unexpected", incident=request_id, exc_info=error)
        problem = internal(request_id)
    response = answer(problem, request_id)
    if problem.status in (408, 413) or hdrs.UPGRADE in request.headers:
        # What is left of the request must not be taken for the next one.
        response.force_close()
    return response


def template_of(request: web.Request) -> str:
    """The route's path with its parameters unfilled."""
    resource = request.match_info.route.resource
    return "unmatched" if resource is None else resource.canonical


def _line(request: web.Request, route: str, status: int, seconds: float) -> dict[str, object]:
    line: dict[str, object] = {
        "method": request.method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 1),
    }
    identity: Identity | None = request.get(IDENTITY)
    if identity is not None:
        line["user_id"] = str(identity.user_id)
    for name, value in request.match_info.items():
        if parse_id(value) is not None:
            line[f"path_{name}"] = value
    return line


def _upgrades_with_body(request: web.Request) -> bool:
    return hdrs.UPGRADE in request.headers and (
        bool(request.content_length) or hdrs.TRANSFER_ENCODING in request.headers
    )


def sign_off(
    response: web.StreamResponse, headers: Mapping[str, str], request_id: str | None
) -> None:
    """Add the headers that the handler did not set itself, and the request's id."""
    for name, value in headers.items():
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = "talktime"
    if request_id is not None:
        response.headers[REQUEST_ID_HEADER] = request_id


def forwarded_address(request: web.Request, trusted: Sequence[Network]) -> str | None:
    """The client's address as a trusted proxy saw it: the right-most that is no proxy of ours.

    None when the request did not come through one; then the socket's address counts.
    """
    if not trusted or not _is_within(request.remote or "", trusted):
        return None
    hops = ",".join(request.headers.getall(FORWARDED, [])).split(",")
    for hop in map(_address_in, reversed(hops)):
        if hop is None:
            return None
        if not _is_within(hop, trusted):
            return hop
    return None


def _address_in(hop: str) -> str | None:
    """The address of a hop, which some proxies write with its port; None if there is none."""
    hop = hop.strip()
    named = _hop.fullmatch(hop)
    address = hop if named is None else named[1] or named[2]
    try:
        ip_address(address)
    except ValueError:
        return None
    return address


def _is_within(address: str, networks: Sequence[Network]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks if network.version == parsed.version)
