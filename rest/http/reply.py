"""The success wrapper: `{"success": true, ...fields of the shape}`."""

from __future__ import annotations

import msgspec
from aiohttp import hdrs, web

from signalling.events import Shape

_encode = msgspec.json.Encoder().encode


class Done(Shape, frozen=True):
    """Nothing to tell but that it is done."""


def encode_reply(shape: Shape) -> bytes:
    fields = _encode(shape)
    if fields == b"{}":
        return b'{"success":true}'
    return b'{"success":true,' + fields[1:]


def reply(shape: Shape, status: int = 200) -> web.Response:
    """The answer of a handler; `shape` is its route's `returns`. Never kept by a cache."""
    return web.Response(
        body=encode_reply(shape),
        status=status,
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )
