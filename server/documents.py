"""What the API says of itself: OpenAPI, AsyncAPI, and a page to try the API on.

The page is Swagger UI, kept in the tree with its licence: it works without any other server.
"""

from __future__ import annotations

from collections.abc import Mapping
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


class Documents:
    """The documents, encoded once, and the page."""

    def __init__(self, openapi: Mapping[str, Any], asyncapi: Mapping[str, Any]) -> None:
        self._openapi = orjson.dumps(openapi)
        self._asyncapi = orjson.dumps(asyncapi)
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
        return _answer(request, self._openapi, "application/json")

    async def asyncapi(self, request: web.Request) -> web.Response:
        return _answer(request, self._asyncapi, "application/json")

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
