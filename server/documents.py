"""What the API says of itself: OpenAPI, AsyncAPI, and a page to try the API on.

The page is Swagger UI, kept in the tree with its licence: it works without any other server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson
from aiohttp import hdrs, web

WEB = Path(__file__).parent / "web"
SWAGGER = WEB / "vendor" / "swagger-ui"
PAGE = "/api-docs"
ASSETS = {
    "swagger-ui-bundle.js": (SWAGGER, "text/javascript"),
    "swagger-ui.css": (SWAGGER, "text/css"),
    "init.js": (WEB / "api-docs", "text/javascript"),
}
# Swagger UI draws its icons from data: URLs; it needs nothing else.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)


Make = Callable[[], Mapping[str, Any]]


class Documents:
    """The documents, each made when it is first asked for, and the page.

    Making them is a twentieth of a start, and most servers are never asked.
    """

    def __init__(self, openapi: Make, asyncapi: Make) -> None:
        self._openapi = _Document(openapi)
        self._asyncapi = _Document(asyncapi)
        self._page = (WEB / "api-docs" / "index.html").read_bytes()

    def table(self) -> list[web.RouteDef]:
        """For `app.add_routes`; they are no part of the API, so no `Route` records."""
        return [
            web.get("/openapi.json", self.openapi),
            web.get("/asyncapi.json", self.asyncapi),
            web.get(PAGE, self.page),
            web.get("/api", self.page),
            web.get(f"{PAGE}/{{name}}", self.asset),
        ]

    async def openapi(self, request: web.Request) -> web.Response:
        return _answer(request, await self._openapi.read(), "application/json")

    async def asyncapi(self, request: web.Request) -> web.Response:
        return _answer(request, await self._asyncapi.read(), "application/json")

    async def page(self, request: web.Request) -> web.Response:
        return _answer(request, self._page, "text/html", {"Content-Security-Policy": POLICY})

    async def asset(self, request: web.Request) -> web.FileResponse:
        """
        Raises:
            web.HTTPNotFound: it is none of the page's own files.
        """
        found = ASSETS.get(request.match_info["name"])
        if found is None:
            raise web.HTTPNotFound
        folder, kind = found
        headers = {hdrs.CONTENT_TYPE: f"{kind}; charset=utf-8", hdrs.CACHE_CONTROL: "no-cache"}
        return web.FileResponse(folder / request.match_info["name"], headers=headers)


class _Document:
    def __init__(self, make: Make) -> None:
        self._make = make
        self._body = b""

    async def read(self) -> bytes:
        """As JSON. Made in a thread: calls must not wait for it."""
        if not self._body:
            self._body = await asyncio.to_thread(lambda: orjson.dumps(self._make()))
        return self._body


def _answer(
    request: web.Request, body: bytes, kind: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """The body with its tag; 304 for who has it already."""
    tag = sha256(body).hexdigest()[:32]
    response = web.Response(headers={hdrs.CACHE_CONTROL: "no-cache", **(headers or {})})
    response.etag = tag
    if any(each.value == tag for each in request.if_none_match or ()):
        response.set_status(304)
        return response
    response.body = body
    response.content_type = kind
    response.charset = "utf-8"
    return response
