"""The page to ask GraphQL from: GraphiQL, kept in the tree with its licence.

It is no part of the API. Whoever opens it sees a log-in; what it shows then, /graphql has answered
to that admin.
"""

from __future__ import annotations

import asyncio
from functools import cache

from aiohttp import web

from server.pages import KINDS, WEB, File, file_of, send

PAGE = "/graphiql"
# Its files, and in which folders of `web/` they are.
ASSETS = {
    "graphiql.min.js": "vendor/graphiql",
    "graphiql.min.css": "vendor/graphiql",
    "react.production.min.js": "vendor/react",
    "react-dom.production.min.js": "vendor/react-dom",
    "page.js": "graphiql",
    "session.js": "graphiql",
    "page.css": "graphiql",
}
# GraphiQL's own style sheet holds its fonts as data: URLs. One inline style of its dialogs stays
# forbidden: it would keep the page behind them from scrolling, and ours does not scroll.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class GraphiqlPage:
    """Few open it, so its files, four megabytes, are read and packed for the first who does."""

    def __init__(self) -> None:
        self._page = file_of("text/html", (WEB / "graphiql" / "index.html").read_bytes())

    def table(self) -> list[web.RouteDef]:
        return [web.get(PAGE, self.page), web.get(f"{PAGE}/{{name}}", self.asset)]

    async def page(self, request: web.Request) -> web.Response:
        return send(request, self._page, {"Content-Security-Policy": POLICY})

    async def asset(self, request: web.Request) -> web.Response:
        """
        Raises:
            web.HTTPNotFound: it is none of the page's own files.
        """
        name = request.match_info["name"]
        if name not in ASSETS:
            raise web.HTTPNotFound
        # In a thread: packing takes longer than calls can wait.
        return send(request, await asyncio.to_thread(_read, name))


@cache
def _read(name: str) -> File:
    path = WEB / ASSETS[name] / name
    return file_of(KINDS[path.suffix], path.read_bytes())
