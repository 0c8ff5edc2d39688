import asyncio
from typing import Any

import pytest

from signalling.limits import SocketLimits
from tests.signalling.sockets.conftest import WAIT_S, Rig, hang_up

UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "MTIzNDU2Nzg5MDEyMzQ1Ng==",
}


async def ask(rig: Rig, query: str = "", **headers: str) -> tuple[int, dict[str, Any]]:
    session = await rig.session()
    sent = UPGRADE | {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.get(rig.url + query, headers=sent) as response:
        if response.status == 101:
            response.close()
            return 101, dict(response.headers)
        body = await response.json()
        assert body["success"] is False
        return response.status, body | dict(response.headers)


async def raw_answer(rig: Rig, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), WAIT_S)
    finally:
        await hang_up(writer)


async def test_an_upgrade_is_accepted_with_and_without_subprotocol(rig: Rig) -> None:
    status, headers = await ask(rig)
    assert (status, headers.get("Sec-WebSocket-Protocol")) == (101, None)
    status, headers = await ask(rig, Sec_WebSocket_Protocol="other, talktime.v1")
    assert (status, headers["Sec-WebSocket-Protocol"]) == (101, "talktime.v1")


async def test_another_subprotocol_alone_is_refused(rig: Rig) -> None:
    assert (await ask(rig, Sec_WebSocket_Protocol="graphql-ws"))[0] == 400


async def test_compression_is_never_agreed(rig: Rig) -> None:
    _, headers = await ask(rig, Sec_WebSocket_Extensions="permessage-deflate")
    assert "Sec-WebSocket-Extensions" not in headers


async def test_a_plain_request_is_told_to_upgrade(rig: Rig) -> None:
    session = await rig.session()
    async with session.get(rig.url) as response:
        assert response.status == 426


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://app.example", 101),
        ("HTTPS://APP.example/", 101),
        ("http://127.0.0.1:{port}", 101),
        ("http://127.0.0.1", 403),
        ("http://app.example", 403),
        ("https://app.example.evil", 403),
        ("https://evil.example", 403),
        ("null", 403),
        ("", 403),
        ("http://[", 403),
        ("http://[::1", 403),
        ("http://[nonsense]", 403),
        ("http://\u2100", 403),
    ],
)
async def test_pages_of_foreign_origins_are_refused(rig: Rig, origin: str, status: int) -> None:
    assert (await ask(rig, Origin=origin.format(port=rig.port)))[0] == status


@pytest.mark.parametrize("name", ["token", "access_token", "jwt", "auth", "Token"])
async def test_a_token_in_the_url_is_refused_without_repeating_it(rig: Rig, name: str) -> None:
    status, body = await ask(rig, f"?x=1&{name}=canary")
    assert status == 400
    assert body["error"] == "TOKEN_IN_URL"
    assert "canary" not in str(body)


@pytest.mark.parametrize(
    "body", [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"]
)
async def test_an_upgrade_with_a_body_is_refused_and_nothing_after_it_is_read(
    rig: Rig, body: bytes
) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in UPGRADE.items()).encode()
    request = b"GET /ws HTTP/1.1\r\nHost: x\r\n" + head + body
    answer = await raw_answer(rig, request + b"GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1


async def test_an_empty_body_is_no_body(rig: Rig) -> None:
    assert (await ask(rig, Content_Length="0"))[0] == 101


async def test_while_draining_newcomers_are_sent_elsewhere(rig: Rig) -> None:
    client = await rig.welcomed()
    rig.draining = True
    status, answer = await ask(rig)
    assert status == 503
    assert int(answer["Retry-After"]) > 0
    await client.in_step()


class TestCaps:
    @pytest.fixture
    def limits(self) -> SocketLimits:
        return SocketLimits(sockets_per_address_max=3)

    async def test_sockets_of_one_address_are_capped_welcomed_or_not(self, rig: Rig) -> None:
        first = await rig.welcomed()
        await rig.connect()
        await rig.connect()
        status, answer = await ask(rig)
        assert status == 429
        assert int(answer["Retry-After"]) > 0
        await first.ws.close()
        await rig.until(lambda: rig.hub.sockets == 2)
        await rig.welcomed(2)

    async def test_a_refused_upgrade_is_not_counted(self, rig: Rig) -> None:
        for _ in range(5):
            assert (await ask(rig, Origin="https://evil.example"))[0] == 403
        await rig.welcomed()


class TestTotal:
    @pytest.fixture
    def limits(self) -> SocketLimits:
        return SocketLimits(sockets_per_address_max=10_000)

    async def test_sockets_are_capped_in_total(self, rig: Rig) -> None:
        clients = [await rig.connect() for _ in range(200)]
        status, _ = await ask(rig)
        assert status == 503
        await clients[0].ws.close()
        await rig.until(lambda: rig.hub.sockets == 199)
        await rig.connect()


async def test_the_server_can_stop_with_sockets_open(rig: Rig) -> None:
    client = await rig.welcomed(1)
    mute = await rig.connect()
    assert rig.hub.sockets == 2
    async with asyncio.timeout(WAIT_S):
        await rig.runner.cleanup()
    assert rig.hub.sockets == 0
    assert rig.desk.lost_devices == [("phone", False)]
    for one in (client, mute):
        await one.closed()
