"""Headers that are no text, sent to every kind of route: refused or passed over, never a 500."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.end_to_end.driver import Site
from tests.server.running import Running, development, running
from tests.server.settings import OTHER, STRONG

LOGIN = b'{"email":"mia@demo.talktime","password":"talktime-demo"}'
UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: MTIzNDU2Nzg5MDEyMzQ1Ng==\r\n"
)
NAMES = (
    b"Accept Accept-Encoding Authorization Content-Encoding Content-Type Cookie Expect Forwarded"
    b" Idempotency-Key If-Modified-Since If-None-Match Origin Range Sec-WebSocket-Protocol"
    b" Stripe-Signature User-Agent X-Forwarded-For X-Payment-Provider X-Request-Id"
    b" X-Talktime-Signature monnify-signature"
).split()
VALUES = (
    b"\xff",
    b"Bearer \xff",
    b"Bearer a.b.\xff",
    b"Bearer \xc3\xbc.\xff.x",
    b"t=1,v1=\xff",
    b"http://[",
    b"http://\xe2\x84\x80",
    b"multipart/form-data; boundary=\xff",
    b"application/json; charset=\xff",
    b"[::1",
    b"1.2.3.4:\xff",
    b"bytes=\xff-",
    b'"\xff"',
)
REQUESTS = (
    (b"GET", b"/metrics", b""),
    (b"GET", b"/wallet/balance", b""),
    (b"GET", b"/api-docs", b""),
    (b"GET", b"/settings/app", b""),
    (b"GET", b"/media/avatars/0192f1a0-0000-7000-8000-000000000000/ab.webp", b""),
    (b"POST", b"/auth/login", LOGIN),
    (b"POST", b"/payments/webhook", b"{}"),
    (b"POST", b"/calls", b"{}"),
    (b"PUT", b"/user/avatar", b"x"),
    (b"OPTIONS", b"/calls", b""),
)


@pytest.fixture
async def there(dsn: str, tmp_path: Path) -> AsyncIterator[Running]:
    config = development(
        tmp_path,
        log_level="warning",
        metrics_token=STRONG,
        media_hook_secret=OTHER,
        trusted_proxies="127.0.0.0/8",
        cors_origins="https://app.example",
        address_burst=0,
    )
    async with running(dsn, config) as server:
        yield server


async def status_of(site: Site, request: bytes) -> int:
    port = int(site.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            line = await reader.readline()
    finally:
        writer.close()
    found = re.match(rb"HTTP/1.1 (\d{3})", line)
    assert found is not None, (request, line)
    return int(found[1])


async def test_no_header_makes_a_mistake_of_ours(there: Running) -> None:
    wrong = []
    for method, path, body in REQUESTS:
        for name in NAMES:
            for value in VALUES:
                kind = b"" if name == b"Content-Type" else b"Content-Type: application/json\r\n"
                # By way of a proxy, so that the figures ask for their token.
                head = b"%b %b HTTP/1.1\r\nHost: x\r\nX-Real-IP: x\r\n" % (method, path)
                given = b"Content-Length: %d\r\n%b%b: %b\r\n" % (len(body), kind, name, value)
                request = head + given + b"\r\n" + body
                if await status_of(there.site, request) == 500:
                    wrong.append((method, path, name, value))
    assert wrong == []


async def test_no_header_of_an_upgrade_makes_one(there: Running) -> None:
    wrong = []
    for name in NAMES:
        for value in VALUES:
            request = b"GET /ws HTTP/1.1\r\nHost: x\r\n%b%b: %b\r\n\r\n" % (UPGRADE, name, value)
            if await status_of(there.site, request) == 500:
                wrong.append((name, value))
    assert wrong == []


async def test_a_session_is_opened_whatever_the_client_calls_itself(there: Running) -> None:
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    for agent in (b"phone \xff\xfe", b"\xed\xa0\x80", b"\xc3\xbc" * 200):
        request = b"%bUser-Agent: %b\r\nContent-Length: %d\r\n\r\n%b"
        sent = request % (head, agent, len(LOGIN), LOGIN)
        assert await status_of(there.site, sent) == 200
