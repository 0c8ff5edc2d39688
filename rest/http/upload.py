"""One file out of a multipart body, read as it comes and never more of it than was agreed."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from aiohttp import BodyPartReader, hdrs, web
from aiohttp.http import HttpProcessingError

from rest.http.errors import Fault, Problem

FORM = "multipart/form-data"
PARTS_MAX = 8
# Boundaries and headers of the parts, beside the file itself.
AROUND_BYTES_MAX = 16_384

NO_FILE = Fault(400, "NO_FILE", "Send the file as a part of a multipart form.")
FILE_TOO_LARGE = Fault(413, "FILE_TOO_LARGE", "The file is too large.")
# What a route that takes a file lists in its `errors`.
ERRORS: tuple[str | Fault, ...] = (
    NO_FILE,
    FILE_TOO_LARGE,
    "INVALID_PAYLOAD",
    "UNSUPPORTED_MEDIA_TYPE",
    "REQUEST_TIMEOUT",
)


async def read_file(
    request: web.Request, field: str, *, bytes_max: int, deadline_s: float
) -> bytes:
    """The file in the part called `field`; what its sender calls it or says of its kind is unread.

    Raises:
        Problem: 400 NO_FILE (also an empty one), 400 INVALID_PAYLOAD, 408 after `deadline_s`,
            413 FILE_TOO_LARGE, 415.
    """
    if request.content_type != FORM:
        if not request.can_read_body:
            raise NO_FILE.problem(field=field)
        raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", f"The body must be {FORM}.")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "Compressed bodies are not taken.")
    if (request.content_length or 0) > bytes_max + AROUND_BYTES_MAX:
        raise FILE_TOO_LARGE.problem(bytesMax=bytes_max)
    try:
        async with asyncio.timeout(deadline_s):
            found = await _find(request, field, bytes_max)
    except TimeoutError:
        raise Problem(408, "REQUEST_TIMEOUT", "The file did not arrive in time.") from None
    # The reader asserts what a broken body breaks, so it raises those as well.
    except (ValueError, AssertionError, RuntimeError, HttpProcessingError, web.RequestPayloadError):
        _broken()
    if not found:
        raise NO_FILE.problem(field=field)
    return found


async def _find(request: web.Request, field: str, bytes_max: int) -> bytes:
    """The part's bytes, empty if the first few have no such part. Those before it count too."""
    reader = await request.multipart()
    seen = 0
    for _ in range(PARTS_MAX):
        part = await reader.next()
        if part is None:
            break
        if not isinstance(part, BodyPartReader):
            _broken()  # A form in a form.
        data = bytearray()
        while chunk := await part.read_chunk():
            seen += len(chunk)
            if seen > bytes_max:
                raise FILE_TOO_LARGE.problem(bytesMax=bytes_max)
            data += chunk
        if part.name == field:
            return bytes(data)
    return b""


def _broken() -> NoReturn:
    raise Problem(400, "INVALID_PAYLOAD", "The body is no form that we can read.") from None
