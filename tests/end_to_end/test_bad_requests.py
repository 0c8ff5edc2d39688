"""Requests that make no sense, and forged proof: refused in JSON, and nothing is gained or lost."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import jwt
import pytest

from tests.end_to_end.guarded import MIA, SECRET_OF_OURS, guarded
from tests.server.running import Running

NOBODY = str(uuid4())


@pytest.fixture
async def there(dsn: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with guarded(dsn, tmp_path) as server:
        yield server


BODIES: list[tuple[str, str, bytes, str, int, str]] = [
    ("POST", "/calls", b"{", "application/json", 400, "INVALID_PAYLOAD"),
    ("POST", "/calls", b"[]", "application/json", 400, "INVALID_PAYLOAD"),
    ("POST", "/calls", b"[" * 60_000, "application/json", 400, "INVALID_PAYLOAD"),
    ("POST", "/calls", b'{"toUserId":"\xff"}', "application/json", 400, "INVALID_PAYLOAD"),
    ("POST", "/calls", b'{"toUserId":"\\ud800"}', "application/json", 400, "INVALID_PAYLOAD"),
    ("POST", "/calls", b'{"toUserId":1}', "application/json", 400, "INVALID_PAYLOAD"),
    ("POST", "/calls", b"{}", "application/json", 400, "INVALID_PAYLOAD"),
    ("POST", "/calls", b"toUserId=1", "application/x-www-form-urlencoded", 415, ""),
    ("POST", "/calls", b" " * 65_537, "application/json", 413, "TOO_LARGE"),
    ("POST", "/calls/debug/end", b'{"callId":"1"}', "application/json", 400, "INVALID_CALL_ID"),
    ("POST", "/payments", b'{"amount":-5,"method":"sandbox"}', "application/json", 400, ""),
    ("POST", "/payments", b'{"amount":1e3,"method":"sandbox"}', "application/json", 400, ""),
    ("POST", "/payments", b'{"amount":true,"method":"sandbox"}', "application/json", 400, ""),
    ("POST", "/payments", b'{"amount":1,"method":"card"}', "application/json", 400, ""),
    (
        "POST",
        "/payments",
        b'{"amount":99999999999999999999,"method":"sandbox"}',
        "application/json",
        400,
        "",
    ),
    ("GET", "/calls?limit=0", b"", "", 400, "INVALID_LIMIT"),
    ("GET", "/calls?limit=1&limit=2", b"", "", 400, "INVALID_LIMIT"),
    ("GET", "/calls?offset=99999999999999999999", b"", "", 400, "INVALID_OFFSET"),
    ("GET", "/calls?userId=1", b"", "", 400, "INVALID_QUERY"),
    ("GET", "/calls?token=abc", b"", "", 400, "TOKEN_IN_URL"),
    ("GET", "/calls/%2e%2e/%2e%2e/etc/passwd", b"", "", 404, "NOT_FOUND"),
    ("GET", f"/calls/{NOBODY}", b"", "", 404, "CALL_NOT_FOUND"),
    ("PATCH", f"/calls/{NOBODY}/answer", b"", "", 404, "CALL_NOT_FOUND"),
    ("PATCH", f"/calls/{NOBODY}/end", b"", "", 404, "CALL_NOT_FOUND"),
    ("DELETE", "/wallet/balance", b"", "", 405, "METHOD_NOT_ALLOWED"),
]


async def test_requests_that_make_no_sense_are_refused_in_json_and_change_nothing(
    there: Running,
) -> None:
    site = there.site
    mia = await site.login(MIA)
    wrong = []
    for method, path, raw, kind, status, code in BODIES:
        headers = {"Authorization": f"Bearer {mia['accessToken']}"}
        if kind:
            headers["Content-Type"] = kind
        async with site.http.request(
            method, site.url + path, data=raw or None, headers=headers
        ) as answer:
            body = await answer.json()
            if answer.status != status or code not in ("", body["error"]):
                wrong.append((method, path, raw[:40], answer.status, body))
            assert body["success"] is False
            assert body["requestId"] == answer.headers["X-Request-Id"]
    assert wrong == []
    assert (await site.get(mia, "/wallet/balance"))["available"] == 1_000
    assert (await site.get(mia, "/payments"))["items"] == []
    assert (await site.get(mia, "/calls"))["items"] == []


async def test_forged_proof_of_payment_and_forged_tokens_bring_nothing(there: Running) -> None:
    site = there.site
    mia = await site.login(MIA)
    status, opened = await site.ask(mia, "POST", "/payments", {"amount": 500, "method": "sandbox"})
    assert status == 201
    event = {"id": "evt_1", "reference": opened["payment"]["reference"], "amount": 500}
    for signature in ("", "t=1,v1=" + "0" * 64, f"t={int(time.time())},v1=" + "0" * 64):
        async with site.http.post(
            f"{site.url}/payments/webhook?provider=sandbox",
            json=event,
            headers={"X-Sandbox-Signature": signature},
        ) as answer:
            assert (answer.status, (await answer.json())["error"]) == (400, "INVALID_WEBHOOK")
    claims = jwt.decode(mia["accessToken"], options={"verify_signature": False})
    for token in (
        jwt.encode({**claims, "roles": ["admin"]}, SECRET_OF_OURS, algorithm="HS256"),
        jwt.encode(claims, "", algorithm="none"),
        "x.y.z",
    ):
        status, body = await site.ask({"accessToken": token}, "GET", "/wallet/balance")
        assert (status, body["error"]) == (401, "UNAUTHORIZED")
    assert (await site.get(mia, "/wallet/balance"))["available"] == 1_000
