"""Frames that apps must not send: answered, or the socket ends, and nothing else happens."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import aiohttp
import jwt
import pytest

from tests.end_to_end.guarded import (
    HELLO_MS,
    MIA,
    SECRET_OF_OURS,
    frame,
    guarded,
    hello,
    lives,
    said,
)
from tests.server.running import Running

# A socket gets away with so many errors in ten seconds.
ERRORS_MAX = 20


@pytest.fixture
async def there(dsn: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with guarded(dsn, tmp_path) as server:
        yield server


NOBODY = str(uuid4())
# What is sent, and what is said to it: code, and the field if one is named.
MALFORMED: list[tuple[bytes, str, str | None]] = [
    (b"", "bad_frame", None),
    (b"{", "bad_frame", None),
    (b"null", "bad_frame", None),
    (b"[]", "bad_frame", None),
    (b'"call_end"', "bad_frame", None),
    (b"[" * 60_000, "bad_frame", None),
    (b'{"type":"call_end"' + b" " * 60_000, "bad_frame", None),
    (b'{"data":{}}', "bad_frame", "type"),
    (b'{"type":7}', "bad_frame", "type"),
    (b'{"type":""}', "bad_frame", "type"),
    (b'{"type":"call_end","ack":-1}', "bad_frame", "ack"),
    (b'{"type":"call_end","seq":1}', "bad_frame", "seq"),
    (b'{"type":"call_end","call":"../../etc"}', "bad_frame", "call"),
    (b'{"type":"call_end","id":""}', "bad_frame", "id"),
    (frame("call_end", {}).replace(b"}", b',"id":"%b"}' % (b"x" * 65), 1), "bad_frame", None),
    (frame("launch_missiles", {}), "unknown_type", "type"),
    (frame("welcome", {}), "unknown_type", "type"),
    (frame("call_ended", {}, NOBODY), "unknown_type", "type"),
    (frame("hello", {"device": {"id": "x"}, "protocol": 1}), "wrong_state", None),
    (frame("call_request", []), "bad_frame", "data"),
    (frame("call_request", {}), "bad_frame", None),
    (frame("call_request", {"toUserId": "kai"}), "bad_frame", "data.toUserId"),
    (frame("call_request", {"toUserId": 1}), "bad_frame", "data.toUserId"),
    (frame("call_request", {"toUserId": NOBODY, "kind": "smell"}), "bad_frame", "data.kind"),
    (frame("call_request", {"toUserId": NOBODY, "price": 0}), "bad_frame", "data.price"),
    (
        frame("call_request", {"toUserId": NOBODY, "maxPricePerMinute": 1.0}),
        "bad_frame",
        "data.maxPricePerMinute",
    ),
    (
        frame("call_request", {"toUserId": NOBODY, "maxPricePerMinute": True}),
        "bad_frame",
        "data.maxPricePerMinute",
    ),
    (
        frame("call_request", {"toUserId": NOBODY, "maxPricePerMinute": -1}),
        "bad_frame",
        "data.maxPricePerMinute",
    ),
    (
        frame("call_request", {"toUserId": NOBODY, "maxPricePerMinute": 10**40}),
        "bad_frame",
        "data.maxPricePerMinute",
    ),
    (frame("call_request", {"toUserId": NOBODY, "note": "\0"}), "bad_frame", "data.note"),
    (frame("call_request", {"toUserId": NOBODY, "note": "x" * 201}), "bad_frame", "data.note"),
    (frame("call_request", {"toUserId": NOBODY, "toPhone": "+8190"}), "bad_frame", None),
    (frame("call_request", {"toPhone": "'; drop table users; --"}), "bad_frame", None),
    (frame("call_request", {"toUserId": NOBODY}), "not_found", None),
    (frame("call_accept", {}), "bad_frame", "call"),
    (frame("call_accept", {}, NOBODY), "not_found", "call"),
    (frame("call_end", {}, NOBODY), "not_found", "call"),
    (frame("media_stats", {"inBytes": -5}, NOBODY), "bad_frame", "data.inBytes"),
    (frame("media_stats", {"inBytes": 2**63}, NOBODY), "bad_frame", "data.inBytes"),
    (b'{"type":"media_stats","data":{"inBytes":1,"loss":1e400}}', "bad_frame", None),
    (frame("signal", {"kind": "offer", "gen": 0}, NOBODY), "bad_frame", "data.gen"),
    (frame("signal", {"kind": "bribe", "gen": 1}, NOBODY), "bad_frame", "data.kind"),
    (frame("chat_send", {"conversation": NOBODY, "text": ""}), "bad_frame", "data.text"),
    (frame("chat_send", {"conversation": NOBODY, "text": "x"}), "not_found", None),
    (frame("presence_watch", {"users": [NOBODY] * 201}), "bad_frame", "data.users"),
    (frame("presence_set", {"presence": "online"}), "forbidden", None),
]


async def test_frames_that_make_no_sense_are_answered_by_name_and_the_socket_lives(
    there: Running,
) -> None:
    mia = await there.site.login(MIA)
    wrong = []
    for start in range(0, len(MALFORMED), ERRORS_MAX - 1):
        device = await there.site.device(mia, f"phone-{start}")
        for raw, code, field in MALFORMED[start : start + ERRORS_MAX - 1]:
            found = await said(device, raw)
            if found["code"] != code or (field is not None and found.get("field") != field):
                wrong.append((raw[:80], found))
            assert found["message"]
        await lives(device)
    assert wrong == []
    assert (await there.site.get(mia, "/wallet/balance"))["available"] == 1_000
    assert (await there.site.get(mia, "/calls"))["items"] == []


async def test_too_many_errors_end_the_socket_with_a_code_that_lets_it_come_back(
    there: Running,
) -> None:
    mia = await there.site.login(MIA)
    device = await there.site.device(mia, "phone")
    for _ in range(ERRORS_MAX + 5):
        await device._ws.send_str("?")
    await device.closed()
    assert device.close_code == 4010
    assert len(device.all("error")) <= ERRORS_MAX + 1
    await lives(await there.site.device(mia, "phone"))


@pytest.mark.parametrize(
    ("raw", "closes"),
    [
        (b"x" * 65_537, {1009}),
        (b"\xff\xfe", {1007, 4500}),
        (b'{"type":"ping","data":{"t":1},"id":"\xc3\x28"}', {1007, 4500}),
    ],
)
async def test_frames_that_break_the_protocol_end_the_socket(
    there: Running, raw: bytes, closes: set[int]
) -> None:
    device = await there.site.device(await there.site.login(MIA), "phone")
    await device._ws._writer.send_frame(raw, aiohttp.WSMsgType.TEXT)
    await device.closed()
    assert device.close_code in closes


async def test_a_binary_frame_ends_the_socket(there: Running) -> None:
    device = await there.site.device(await there.site.login(MIA), "phone")
    await device._ws.send_bytes(b"{}")
    await device.closed()
    assert device.close_code == 4500


async def greeted(there: Running, raw: str | None, **headers: str) -> int | None:
    """The code with which a socket is closed whose first frame is this one."""
    async with there.site.http.ws_connect(f"{there.site.url}/ws", headers=headers) as ws:
        if raw is not None:
            await ws.send_str(raw)
        async with asyncio.timeout(10):
            message = await ws.receive()
        assert message.type is aiohttp.WSMsgType.CLOSE, message
        return int(message.data)


async def test_nobody_comes_in_without_a_whole_hello_and_a_token_of_ours(there: Running) -> None:
    mia = await there.site.login(MIA)
    token = str(mia["accessToken"])
    claims = jwt.decode(token, options={"verify_signature": False})
    head, body, sign = token.split(".")
    forged = {
        "another secret": jwt.encode(claims, SECRET_OF_OURS, algorithm="HS256"),
        "no algorithm": jwt.encode(claims, "", algorithm="none"),
        "another user": jwt.encode({**claims, "sub": str(uuid4())}, SECRET_OF_OURS),
        "a changed body": f"{head}.{body[:-2]}AA.{sign}",
        "no signature": f"{head}.{body}.",
        "nothing": "",
        "not a token": "x" * 200,
    }
    for name, each in forged.items():
        assert await greeted(there, hello(each)) == 4401, name
    # The header does not help a hello that brings a bad token itself.
    bearer = {"Authorization": f"Bearer {token}"}
    assert await greeted(there, hello("x"), **bearer) == 4401
    first_frames = {
        '{"type":"ping"}': 4500,
        "{": 4500,
        hello(token, device={"id": ""}): 4500,
        hello(token, device={"id": "rest"}): 4500,
        hello(token, features=["x" * 5_000]): 4500,
        hello(token, admin=True): 4500,
        hello(token, protocol=2): 4505,
    }
    for raw, code in first_frames.items():
        assert await greeted(there, raw) == code, raw[:80]
    began = time.monotonic()
    assert await greeted(there, None) == 4003
    assert time.monotonic() - began >= HELLO_MS / 1_000 - 0.05


async def test_an_upgrade_that_should_not_be_is_refused_before_it_happens(there: Running) -> None:
    url, http = f"{there.site.url}/ws", there.site.http
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for suffix, headers, status in (
        ("?token=abc", {}, 400),
        ("", {"Origin": "https://evil.example"}, 403),
        ("", {"Sec-WebSocket-Protocol": "graphql-ws"}, 400),
    ):
        async with http.get(url + suffix, headers={**upgrade, **headers}) as answer:
            assert answer.status == status
            assert (await answer.json())["success"] is False
    async with http.get(url) as answer:
        assert answer.status == 426
