"""The page brings everything with it, and its policy lets nothing else in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server.graphiql import ASSETS, PAGE, GraphiqlPage

Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    app.add_routes(GraphiqlPage().table())
    async with TestClient(TestServer(app)) as opened:
        yield opened


async def test_the_page_asks_for_nothing_but_its_own_files(client: Client) -> None:
    async with client.get(PAGE) as answer:
        assert answer.content_type == "text/html"
        policy = answer.headers["Content-Security-Policy"]
        page = await answer.text()
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy
    assert re.search(r"https?:", page) is None
    assert re.search(r"<script>|onload=|style=|javascript:", page) is None
    asked = set(re.findall(r'(?:src|href)="/graphiql/([^"]+)"', page))
    texts = {}
    for name in ASSETS:
        async with client.get(f"{PAGE}/{name}") as file:
            assert file.status == 200
            assert file.content_type in ("text/javascript", "text/css")
            texts[name] = await file.text()
    # A module asks for its like itself.
    asked |= set(re.findall(r'from "\./([^"]+)"', texts["page.js"]))
    assert asked == set(ASSETS)


async def test_the_token_is_kept_in_the_tab_alone(client: Client) -> None:
    for name in ("page.js", "session.js"):
        async with client.get(f"{PAGE}/{name}") as file:
            text = await file.text()
        assert "localStorage" not in text
        assert "document.cookie" not in text


@pytest.mark.parametrize("name", ["index.html", "manifest.json", "..%2Fpage.js", "LICENSE", "x"])
async def test_no_other_file_can_be_had(client: Client, name: str) -> None:
    async with client.get(f"{PAGE}/{name}") as answer:
        assert answer.status == 404
