"""The phone at `/`, the operator's console at `/console`, and the files they are made of.

Every file is read once at the start and sent from memory with its tag. There is no build step: what
is in `web/` is what a browser gets.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import orjson
from aiohttp import hdrs, web

from rest.http.errors import Problem

WEB = Path(__file__).parent / "web"
# Where files are served from, and in which folders of `web/` they are.
ASSETS = "/assets"
FOLDERS = ("client", "phone", "console", "shared", "vendor/preact-htm", "vendor/uplot")
KINDS = {
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; media-src 'self' blob:; manifest-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
PERMISSIONS = "camera=(self), microphone=(self), geolocation=(), payment=()"
# A "no" is asked about again after so long.
NO_CONSOLE_S = 10.0
# Smaller ones gain nothing.
GZIP_BYTES_MIN = 1_024


class File(NamedTuple):
    """A file as it is sent. `packed` is None where that is not shorter."""

    kind: str
    body: bytes
    packed: bytes | None
    tag: str


class Pages:
    """`site` is what the pages must know of the deployment before anybody has logged in; whether
    there is a console is asked until there is one."""

    def __init__(
        self, site: Mapping[str, Any], *, has_console: Callable[[], Awaitable[bool]]
    ) -> None:
        self._site = file_of("application/json", orjson.dumps(site))
        self._phone = file_of("text/html", (WEB / "phone" / "index.html").read_bytes())
        self._console = file_of("text/html", (WEB / "console" / "index.html").read_bytes())
        self._files = dict(_read_all())
        self._has_console = has_console
        self._open = False
        self._asked_s = -NO_CONSOLE_S

    def table(self) -> list[web.RouteDef]:
        """For `app.add_routes`; they are no part of the API, so no `Route` records."""
        return [
            web.get("/", self.phone),
            web.get("/console", self.console),
            web.get("/site.json", self.site),
            web.get(f"{ASSETS}/{{path:[a-z0-9./_-]+}}", self.asset),
        ]

    async def phone(self, request: web.Request) -> web.Response:
        return _page(request, self._phone)

    async def console(self, request: web.Request) -> web.Response:
        """
        Raises:
            Problem: 404 NO_CONSOLE, nobody could log in there.
        """
        now_s = asyncio.get_running_loop().time()
        if not self._open and now_s - self._asked_s >= NO_CONSOLE_S:
            self._asked_s = now_s
            self._open = await self._has_console()
        if not self._open:
            raise Problem(
                404,
                "NO_CONSOLE",
                "There is no console before there is an admin with a password: "
                "make one with `talktime user create --admin`.",
            )
        return _page(request, self._console)

    async def site(self, request: web.Request) -> web.Response:
        return send(request, self._site)

    async def asset(self, request: web.Request) -> web.Response:
        """
        Raises:
            web.HTTPNotFound: it is none of the pages' own files.
        """
        found = self._files.get(request.match_info["path"])
        if found is None:
            raise web.HTTPNotFound
        return send(request, found)


def _read_all() -> Iterator[tuple[str, File]]:
    """The files under their names in a URL, `phone/app.js` or `vendor/uplot/uplot.js`."""
    for folder in FOLDERS:
        for path in sorted((WEB / folder).rglob("*")):
            kind = KINDS.get(path.suffix)
            if kind is not None and path.is_file():
                yield path.relative_to(WEB).as_posix(), file_of(kind, path.read_bytes())


def file_of(kind: str, body: bytes) -> File:
    packed = gzip.compress(body, 9, mtime=0) if len(body) >= GZIP_BYTES_MIN else None
    if packed is not None and len(packed) >= len(body):
        packed = None
    return File(kind, body, packed, sha256(body).hexdigest()[:32])


def _page(request: web.Request, file: File) -> web.Response:
    headers = {"Content-Security-Policy": POLICY, "Permissions-Policy": PERMISSIONS}
    return send(request, file, headers)


def send(
    request: web.Request, file: File, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The file, packed for who can unpack it; 304 for who has it already."""
    response = web.Response(
        headers={
            hdrs.CACHE_CONTROL: "no-cache",
            hdrs.VARY: hdrs.ACCEPT_ENCODING,
            **(headers or {}),
        }
    )
    response.etag = file.tag
    if any(each.value == file.tag for each in request.if_none_match or ()):
        response.set_status(304)
        return response
    response.content_type = file.kind
    response.charset = "utf-8"
    if file.packed is not None and "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        response.headers[hdrs.CONTENT_ENCODING] = "gzip"
        response.body = file.packed
    else:
        response.body = file.body
    return response
