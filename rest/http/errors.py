"""One road for every refusal: an exception from below becomes a status, a code and a JSON body.

The body is `{"success": false, "error": "CODE", "message": ..., "details"?, "requestId"}`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import hdrs, web

from signalling.codes import Refused
from storage.errors import Conflict, NotFound, Refusal
from storage.pool import YIELDED, is_lost

REQUEST_ID = web.RequestKey("request_id", str)
REQUEST_ID_HEADER = "X-Request-Id"

# Public codes that any domain may use, with their status. `signalling.codes.Code` and the codes
# of `storage.errors` are these words in lower case.
STATUS: dict[str, int] = {
    "BAD_REQUEST": 400,
    "BAD_FRAME": 400,
    "INVALID_PAYLOAD": 400,
    "INVALID_QUERY": 400,
    "TOKEN_IN_URL": 400,
    "TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "REQUEST_TIMEOUT": 408,
    "UNKNOWN_TYPE": 400,
    "SELF_CALL": 400,
    "UNAUTHORIZED": 401,
    "TOKEN_EXPIRED": 401,
    "INSUFFICIENT_FUNDS": 402,
    "FORBIDDEN": 403,
    "BLOCKED": 403,
    "NOT_YOUR_LEG": 403,
    "SELF_APPROVAL": 403,
    "NOT_FOUND": 404,
    # Whoever is no party of a call learns nothing about it, not even that it is there.
    "NOT_YOUR_CALL": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "WRONG_STATE": 409,
    "CALL_OVER": 409,
    "ANSWERED_ELSEWHERE": 409,
    "SELF_BUSY": 409,
    "PRICE_CHANGED": 409,
    "IDEMPOTENCY_CONFLICT": 409,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "COOLDOWN": 429,
    "RATE_LIMITED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "FENCED": 503,
}
RETRY_AFTER_S = 1
CHALLENGE = 'Bearer realm="talktime"'


class Problem(Exception):
    """A refusal that already knows its HTTP status.

    `details` holds public JSON values in wire names; `headers` go out with the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        details: dict[str, object] | None = None,
        *,
        retry_after_ms: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.details = details or {}
        self.headers = dict(headers or {})
        if retry_after_ms is not None:
            self.headers[hdrs.RETRY_AFTER] = str(max(1, math.ceil(retry_after_ms / 1000)))


@dataclass(frozen=True, slots=True)
class Fault:
    """A refusal that a domain declares once, raises in its handlers and lists in its routes."""

    status: int
    code: str
    message: str

    def problem(self, **details: object) -> Problem:
        return Problem(self.status, self.code, self.message, details)


class ErrorBody(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """The failure wrapper; `success` is false in every one of them."""

    success: bool
    error: str
    message: str
    details: dict[str, Any] | None = None
    request_id: str = ""


_encode = msgspec.json.Encoder().encode


def problem_of(error: Exception) -> Problem | None:
    """What `error` says to the client, or None if it is a mistake of ours."""
    match error:
        case Problem():
            return error
        case Refused():
            details = dict(error.details)
            if error.field is not None:
                details["field"] = error.field
            return _refused(error.code.value, error.message, details, error.retry_after_ms)
        case NotFound():
            return _refused(error.code, error.message, dict(error.details), default=404)
        case Conflict():
            return _refused(error.code, error.message, dict(error.details), default=409)
        case Refusal():
            return _refused(error.code, error.message, dict(error.details))
        case web.HTTPException():
            return _of_aiohttp(error)
        case MemoryError():
            return _refused("unavailable", "The server is short of memory; try again.", {})
        case _ if is_lost(error) or isinstance(error, YIELDED):
            return _refused("unavailable", "Try again in a moment.", {})
    return None


def _refused(
    code: str,
    message: str,
    details: dict[str, object],
    retry_after_ms: int | None = None,
    *,
    default: int = 400,
) -> Problem:
    upper = code.upper()
    status = STATUS.get(upper, default)
    if status in (429, 503) and retry_after_ms is None:
        retry_after_ms = RETRY_AFTER_S * 1000
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return Problem(status, upper, message, details, retry_after_ms=retry_after_ms, headers=headers)


def _of_aiohttp(error: web.HTTPException) -> Problem | None:
    """aiohttp's own answers. Redirects and the like stay what they are: None below 400."""
    match error.status:
        case 404:
            return Problem(404, "NOT_FOUND", "There is nothing at this path.")
        case 405:
            allow = error.headers.get(hdrs.ALLOW, "")
            return Problem(
                405,
                "METHOD_NOT_ALLOWED",
                f"This path takes {allow}.",
                headers={hdrs.ALLOW: allow},
            )
        case 413:
            return Problem(413, "TOO_LARGE", "The request is too large.")
        case 417:
            return Problem(417, "EXPECTATION_FAILED", "Only 100-continue can be expected.")
        case status if 400 <= status < 500:
            return Problem(status, "BAD_REQUEST", "The request makes no sense.")
    return None


def internal(incident: str) -> Problem:
    """The answer to a mistake of ours: it names the log line and nothing of the exception."""
    return Problem(500, "INTERNAL", "Something went wrong on our side.", {"incidentId": incident})


def answer(problem: Problem, request_id: str) -> web.Response:
    body = ErrorBody(False, problem.code, problem.message, problem.details or None, request_id)
    headers = {hdrs.CACHE_CONTROL: "no-store", **problem.headers}
    if problem.status == 401:
        headers.setdefault(hdrs.WWW_AUTHENTICATE, CHALLENGE)
    return web.Response(
        body=_encode(body),
        status=problem.status,
        content_type="application/json",
        headers=headers,
    )
