"""The pages and their files are sent with what keeps them safe, and nothing else can be had."""

from __future__ import annotations

import gzip
import re
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server.middlewares import install
from server.pages import ASSETS, POLICY, Pages, file_of

Client = TestClient[web.Request, web.Application]


class Admins:
    def __init__(self) -> None:
        self.there = True
        self.asked = 0

    async def has_console(self) -> bool:
        self.asked += 1
        return self.there


@pytest.fixture
def admins() -> Admins:
    return Admins()


@pytest.fixture
async def client(admins: Admins) -> AsyncIterator[Client]:
    app = web.Application()
    install(app)
    app.add_routes(Pages({"dev": False}, has_console=admins.has_console).table())
    async with TestClient(TestServer(app), auto_decompress=False) as opened:
        yield opened


@pytest.mark.parametrize("path", ["/", "/console"])
async def test_a_page_runs_and_asks_for_nothing_but_its_own_files(
    client: Client, path: str
) -> None:
    async with client.get(path) as answer:
        assert answer.status == 200
        assert answer.content_type == "text/html"
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert "camera=(self)" in answer.headers["Permissions-Policy"]
        page = await answer.text()
    assert "unsafe" not in POLICY
    assert re.search(r"https?:|<script>|<style|\son\w+=|style=|javascript:", page) is None
    for file in re.findall(r'(?:src|href)="([^"]+)"', page):
        async with client.get(file) as found:
            assert (file, found.status) == (file, 200)


async def test_a_file_is_sent_packed_to_who_can_unpack_it_and_once(client: Client) -> None:
    path = f"{ASSETS}/vendor/uplot/uplot.js"
    async with client.get(path, headers={"Accept-Encoding": "identity"}) as plain:
        body = await plain.read()
    async with client.get(path, headers={"Accept-Encoding": "gzip"}) as packed:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert packed.headers["Vary"] == "Accept-Encoding"
        assert gzip.decompress(await packed.read()) == body
        tag = packed.headers["ETag"]
    async with client.get(path, headers={"If-None-Match": tag}) as again:
        assert (again.status, await again.read()) == (304, b"")


@pytest.mark.parametrize(
    "name",
    ["", "phone/", "phone/index.html", "vendor/manifest.json", "..%2Fpages.py", "vendor/../x.js"],
)
async def test_no_other_file_can_be_had(client: Client, name: str) -> None:
    async with client.get(f"{ASSETS}/{name}") as answer:
        assert answer.status == 404


async def test_there_is_no_console_before_there_is_an_admin(
    client: Client, admins: Admins, monkeypatch: pytest.MonkeyPatch
) -> None:
    admins.there = False
    for _ in range(3):
        async with client.get("/console") as answer:
            assert answer.status == 404
            assert (await answer.json())["error"] == "NO_CONSOLE"
    assert admins.asked == 1  # The database is not asked by everybody who passes by.


async def test_what_is_known_of_the_site_is_json(client: Client) -> None:
    async with client.get("/site.json") as answer:
        assert await answer.json() == {"dev": False}


def test_a_small_file_is_not_packed() -> None:
    assert file_of("text/css", b"a" * 100).packed is None
    assert file_of("text/css", b"a" * 5_000).packed is not None
