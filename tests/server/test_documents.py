"""The documents are served as they are, and the page brings everything with it."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from server.documents import ASSETS, PAGE, WEB, Documents

VENDOR = WEB / "vendor"
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    app.add_routes(Documents(lambda: {"openapi": "3.1.0"}, lambda: {"asyncapi": "3.0.0"}).table())
    async with TestClient(TestServer(app)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "word"), [("/openapi.json", "openapi"), ("/asyncapi.json", "asyncapi")]
)
async def test_a_document_is_json_and_not_sent_twice(client: Client, path: str, word: str) -> None:
    async with client.get(path) as answer:
        assert answer.content_type == "application/json"
        assert word in await answer.json()
        tag = answer.headers["ETag"]
    async with client.get(path, headers={"If-None-Match": tag}) as again:
        assert again.status == 304
        assert await again.read() == b""
    async with client.get(path, headers={"If-None-Match": '"other"'}) as other:
        assert other.status == 200


@pytest.mark.parametrize("path", [PAGE, "/api"])
async def test_the_page_asks_for_nothing_but_its_own_files(client: Client, path: str) -> None:
    async with client.get(path) as answer:
        assert answer.content_type == "text/html"
        policy = answer.headers["Content-Security-Policy"]
        page = await answer.text()
    assert "script-src 'self';" in policy
    assert re.search(r"https?:", page) is None
    assert re.search(r"<script>|onload=|javascript:", page) is None
    asked = set(re.findall(r'(?:src|href)="/api-docs/([^"]+)"', page))
    assert asked == set(ASSETS)
    for name in asked:
        async with client.get(f"{PAGE}/{name}") as file:
            assert file.status == 200
            assert file.content_type in ("text/javascript", "text/css")
            assert len(await file.read()) > 100


@pytest.mark.parametrize("name", ["index.html", "manifest.json", "..%2Finit.js", "LICENSE", "x"])
async def test_no_other_file_can_be_had(client: Client, name: str) -> None:
    async with client.get(f"{PAGE}/{name}") as answer:
        assert answer.status == 404


def test_what_is_vendored_is_what_the_manifest_says() -> None:
    wanted: dict[str, dict[str, str]] = {}
    for entry in json.loads((VENDOR / "manifest.json").read_text()):
        assert re.fullmatch(r"\d+\.\d+\.\d+", entry["version"])
        assert entry["licence"]
        assert any(name.startswith("LICENSE") for name in entry["files"]), entry["name"]
        wanted.setdefault(entry["folder"], {}).update(entry["files"])
    there = {
        folder.name: {path.name: sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}
        for folder in VENDOR.iterdir()
        if folder.is_dir()
    }
    assert there == wanted
