"""One bounded file out of a form."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rest.http.upload import PARTS_MAX, read_file
from server.middlewares import install

FORM = "multipart/form-data; boundary=B"
Client = TestClient[web.Request, web.Application]


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async def echo(request: web.Request) -> web.Response:
        found = await read_file(request, "file", bytes_max=1_000, deadline_s=0.2)
        return web.json_response({"bytes": len(found), "first": found[:3].decode()})

    app = web.Application()
    install(app)
    app.router.add_put("/", echo)
    opened = TestClient(TestServer(app))
    await opened.start_server()
    yield opened
    await opened.close()


def part(data: bytes, name: str = "file", more: str = "") -> bytes:
    head = f'--B\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n{more}\r\n'
    return head.encode() + data + b"\r\n"


END = b"--B--\r\n"


async def sent(client: Client, raw: object, content_type: str = FORM, **headers: str) -> str:
    """The status, and the error's code or what was read."""
    given = {"Content-Type": content_type, **headers}
    async with client.put("/", data=raw, headers=given) as response:
        body = await response.json()
        return f"{response.status} {body.get('error', body.get('bytes'))}"


async def test_the_file_is_read_wherever_it_stands(client: Client) -> None:
    assert await sent(client, part(b"abc") + END) == "200 3"
    assert await sent(client, part(b"other", "note") + part(b"abcd") + END) == "200 4"
    assert await sent(client, part(b"x" * 1_000) + END) == "200 1000"


async def test_a_form_without_the_file_has_none(client: Client) -> None:
    for raw in (END, part(b"abc", "another") + END, part(b"") + END):
        assert await sent(client, raw) == "400 NO_FILE"
    async with client.put("/") as response:
        assert (response.status, (await response.json())["error"]) == (400, "NO_FILE")


async def test_a_file_has_a_limit_with_and_without_a_length(client: Client) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield part(b"x" * 1_001)
        yield END

    assert await sent(client, part(b"x" * 1_001) + END) == "413 FILE_TOO_LARGE"
    assert await sent(client, part(b"x" * 100_000) + END) == "413 FILE_TOO_LARGE"
    assert await sent(client, pieces()) == "413 FILE_TOO_LARGE"


async def test_parts_beside_the_file_count_as_well(client: Client) -> None:
    assert await sent(client, part(b"x" * 999, "a") + part(b"yy") + END) == "413 FILE_TOO_LARGE"
    many = b"".join(part(b"", f"a{n}") for n in range(PARTS_MAX))
    assert await sent(client, many + part(b"abc") + END) == "400 NO_FILE"


async def test_a_file_that_does_not_come_is_not_waited_for(client: Client) -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield part(b"abc")[:-5]
        await asyncio.sleep(5)

    assert await sent(client, slow()) == "408 REQUEST_TIMEOUT"


@pytest.mark.parametrize(
    ("content_type", "headers", "answer"),
    [
        ("application/json", {}, "415 UNSUPPORTED_MEDIA_TYPE"),
        ("image/png", {}, "415 UNSUPPORTED_MEDIA_TYPE"),
        ("multipart/mixed; boundary=B", {}, "415 UNSUPPORTED_MEDIA_TYPE"),
        (FORM, {"Content-Encoding": "gzip"}, "415 UNSUPPORTED_MEDIA_TYPE"),
        ("multipart/form-data", {}, "400 INVALID_PAYLOAD"),
        ("multipart/form-data; boundary=" + "B" * 100, {}, "400 INVALID_PAYLOAD"),
        ("multipart/form-data; boundary=Other", {}, "400 INVALID_PAYLOAD"),
    ],
)
async def test_other_bodies_are_not_taken(
    client: Client, content_type: str, headers: dict[str, str], answer: str
) -> None:
    assert await sent(client, part(b"abc") + END, content_type, **headers) == answer


@pytest.mark.parametrize(
    "raw",
    [
        b"no form at all",
        b"--B",
        b"--B\r\n",
        b"--B\r\nno colon\r\n\r\nabc\r\n--B--\r\n",
        b"--B\r\nContent-Disposition: form-data; name=" + b"x" * 10_000 + b"\r\n\r\n",
        part(b"--C\r\n\r\nabc\r\n--C--", more="Content-Type: multipart/mixed; boundary=C\r\n")
        + END,
    ],
)
async def test_a_broken_form_is_the_sender_s_fault(client: Client, raw: bytes) -> None:
    assert await sent(client, raw) in ("400 INVALID_PAYLOAD", "400 NO_FILE")
