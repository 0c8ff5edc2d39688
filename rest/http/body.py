"""Bodies and query strings into frozen structs; the first wrong field is named in the refusal."""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, NoReturn, TypeVar

import msgspec
from aiohttp import hdrs, web

from rest.http.errors import Problem
from storage.deadline import Deadline

BODY_BYTES_MAX = 65_536
READ_DEADLINE = Deadline(10.0)
# Where a client might put a secret by mistake: a URL ends in logs, histories and proxies.
TOKEN_PARAMETERS = frozenset(
    {"token", "accesstoken", "refreshtoken", "idtoken", "jwt", "bearer", "authorization", "auth",
     "apikey", "password", "secret"}
)  # fmt: skip

_where = re.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")
_named = re.compile(r"(?:required field|unknown field) `([^`]+)`")


class Body(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """Base of what clients send. `CODES` maps a wire field to the code of its own errors."""

    CODES: ClassVar[dict[str, str]] = {}


class Query(Body, frozen=True):
    """Base of query strings: values arrive as text and become numbers and booleans."""


B = TypeVar("B", bound=Body)


@cache
def _decoder(shape: type[Body]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(shape)


@cache
def _attributes(shape: type[Body]) -> dict[str, str]:
    """By wire names. Kept: finding them out was a quarter of what a list costs."""
    return {each.encode_name: each.name for each in msgspec.structs.fields(shape)}


async def read_body(request: web.Request, shape: type[B], *, optional: bool = False) -> B:
    """The request's JSON body as `shape`; with `optional` an empty body is `shape()`.

    Raises:
        Problem: 400 INVALID_PAYLOAD (or the field's own code) with `details.field`, 408, 413, 415.
    """
    raw = await read_raw(request)
    if not raw and optional:
        return shape()
    if request.content_type != "application/json":
        raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "The body must be application/json.")
    try:
        decoded: B = _decoder(shape).decode(raw)
    except msgspec.ValidationError as fault:
        _refuse(shape, str(fault), "INVALID_PAYLOAD")
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "INVALID_PAYLOAD", "The body is not valid JSON.") from None
    if b"\\u0000" in raw:
        _refuse_nul(decoded, shape)
    return decoded


async def read_raw(request: web.Request, bytes_max: int = BODY_BYTES_MAX) -> bytes:
    """The body's bytes as they were sent, for signatures over them.

    Raises:
        Problem: 408 after 10 s, 413 beyond `bytes_max`, 415 when the body is compressed.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "Compressed bodies are not taken.")
    too_large = Problem(413, "TOO_LARGE", "The body is too large.", {"bytesMax": bytes_max})
    if (request.content_length or 0) > bytes_max:
        raise too_large
    raw = bytearray()
    try:
        async with READ_DEADLINE():
            async for chunk in request.content.iter_any():
                raw += chunk
                if len(raw) > bytes_max:
                    raise too_large
    except TimeoutError:
        raise Problem(408, "REQUEST_TIMEOUT", "The body did not arrive in time.") from None
    return bytes(raw)


def read_query(request: web.Request, shape: type[B]) -> B:
    """The query string as `shape`.

    Raises:
        Problem: 400 INVALID_QUERY (or the field's own code) with `details.field`, for wrong,
            unknown and repeated parameters alike; 400 TOKEN_IN_URL.
    """
    refuse_tokens(request)
    given: dict[str, str] = {}
    for name, value in request.query.items():
        if name in given or "\0" in value:
            code = shape.CODES.get(name, "INVALID_QUERY")
            raise Problem(400, code, "Give each parameter once.", {"field": name})
        given[name] = value
    try:
        query = msgspec.convert(given, shape, strict=False)
    except msgspec.ValidationError as fault:
        _refuse(shape, str(fault), "INVALID_QUERY", whole="The query string")
    attributes = _attributes(shape)
    for name, text in given.items():
        value = getattr(query, attributes[name])
        # The decoder reads "null" as nothing and a number as a time; the document has neither.
        if value is None or (isinstance(value, datetime) and ":" not in text):
            _refuse(shape, f"No such value - at `$.{name}`", "INVALID_QUERY")
    return query


def refuse_tokens(request: web.Request) -> None:
    """Refuse a request that carries a secret in its URL, whatever it is for."""
    for name in request.query:
        if re.sub(r"[^a-z]", "", name.lower()) in TOKEN_PARAMETERS:
            raise Problem(400, "TOKEN_IN_URL", "Secrets do not belong in a URL.", {"field": name})


def _refuse(shape: type[Body], text: str, default: str, *, whole: str = "The body") -> NoReturn:
    """A decoder's complaint as a Problem that names the field by its path in wire names."""
    found = _where.search(text)
    path = found.group(1) if found else ""
    named = _named.search(text)
    if named:
        path = f"{path}.{named.group(1)}" if path else named.group(1)
    message = (text[: found.start()] if found else text).replace("Object", whole)
    code = shape.CODES.get(re.split(r"[.\[]", path)[0], default)
    raise Problem(400, code, f"{message}.", {"field": path} if path else None)


def _refuse_nul(value: object, shape: type[Body], path: str = "") -> None:
    """PostgreSQL's text cannot hold NUL, so no string of a body may."""
    match value:
        case str() if "\0" in value:
            code = shape.CODES.get(re.split(r"[.\[]", path)[0], "INVALID_PAYLOAD")
            raise Problem(400, code, "A text may not contain NUL.", {"field": path})
        case msgspec.Struct():
            for field in msgspec.structs.fields(value):
                inner = f"{path}.{field.encode_name}" if path else field.encode_name
                _refuse_nul(getattr(value, field.name), shape, inner)
        case list() | tuple():
            for index, each in enumerate(value):
                _refuse_nul(each, shape, f"{path}[{index}]")
        case dict():
            for key, each in value.items():
                _refuse_nul(key, shape, path)
                _refuse_nul(each, shape, f"{path}.{key}" if path else str(key))
