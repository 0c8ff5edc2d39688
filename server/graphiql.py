"""The page to ask GraphQL from: GraphiQL, kept in the tree with its licence.

It is no part of the API. Whoever opens it sees a log-in; what it shows then, /graphql has answered
to that admin.
"""

from __future__ import annotations

from aiohttp import hdrs, web

from server.documents import WEB, answer_with

OWN = WEB / "graphiql"
VENDOR = WEB / "vendor" / "graphiql"
PAGE = "/graphiql"
ASSETS = {
    "graphiql.min.js": (VENDOR, "text/javascript"),
    "graphiql.min.css": (VENDOR, "text/css"),
    "react.production.min.js": (VENDOR, "text/javascript"),
    "react-dom.production.min.js": (VENDOR, "text/javascript"),
    "page.js": (OWN, "text/javascript"),
    "session.js": (OWN, "text/javascript"),
    "page.css": (OWN, "text/css"),
}
# GraphiQL's own style sheet holds its fonts as data: URLs. One inline style of its dialogs stays
# forbidden: it would keep the page behind them from scrolling, and ours does not scroll.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src data:; connect-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)


class GraphiqlPage:
    def __init__(self) -> None:
        self._page = (OWN / "index.html").read_bytes()

    def table(self) -> list[web.RouteDef]:
        return [web.get(PAGE, self.page), web.get(f"{PAGE}/{{name}}", self.asset)]

    async def page(self, request: web.Request) -> web.Response:
        return answer_with(request, self._page, "text/html", {"Content-Security-Policy": POLICY})

    async def asset(self, request: web.Request) -> web.FileResponse:
        """
        Raises:
            web.HTTPNotFound: it is none of the page's own files.
        """
        name = request.match_info["name"]
        found = ASSETS.get(name)
        if found is None:
            raise web.HTTPNotFound
        folder, kind = found
        headers = {hdrs.CONTENT_TYPE: f"{kind}; charset=utf-8", hdrs.CACHE_CONTROL: "no-cache"}
        return web.FileResponse(folder / name, headers=headers)
