"""A company that misbehaves costs a message, never more than its deadline or 64 KiB."""

from __future__ import annotations

import pytest
from aiohttp import web

from rest.auth.sms.port import SmsDown
from rest.auth.sms.wire import Wire
from tests.rest.auth.sms.companies import (
    MESSAGE,
    Answer,
    company,
    dripping,
    flooding,
    hanging_up,
    never,
    says,
)

HEADERS = {"Content-Type": "text/plain"}


async def post(wire: Wire, url: str) -> tuple[int, bytes]:
    try:
        return await wire.post(url, MESSAGE.text.encode(), HEADERS)
    finally:
        await wire.close()


async def test_status_and_body_come_back(caplog: pytest.LogCaptureFixture) -> None:
    async with company(says(418, {"a": 1})) as there:
        assert await post(Wire(), there.url) == (418, b'{"a": 1}')
        request, raw = there.seen[0]
        assert (request.method, raw) == ("POST", MESSAGE.text.encode())


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (never, "Timeout"),
        (dripping, "Timeout"),
        (flooding, "too large"),
        (hanging_up, "ServerDisconnected"),
        (says(302, headers={"Location": "http://169.254.169.254/"}), "redirect"),
        (says(307, headers={"Location": "/again"}), "redirect"),
    ],
)
async def test_a_company_that_misbehaves_is_down(answer: Answer, said: str) -> None:
    async with company(answer) as there:
        with pytest.raises(SmsDown, match=said) as down:
            await post(Wire(deadline_s=0.3), there.url)
        assert len(there.seen) == 1
    assert MESSAGE.phone not in str(down.value)
    assert down.value.__cause__ is None


async def test_an_answer_is_not_unpacked() -> None:
    async def packed(_: web.Request) -> web.StreamResponse:
        answer = web.Response(body=b"x" * 10_000_000)
        answer.enable_compression(web.ContentCoding.gzip)
        return answer

    async with company(packed) as there:
        status, raw = await post(Wire(), there.url)
    assert status == 200
    assert len(raw) < 20_000


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://localhost.invalid/", "nonsense"])
async def test_a_company_that_is_not_there_is_down(url: str) -> None:
    with pytest.raises(SmsDown, match="no answer"):
        await post(Wire(), url)


async def test_a_wire_that_was_closed_opens_again() -> None:
    wire = Wire()
    async with company(says(200, {})) as there:
        for _ in range(2):
            assert (await post(wire, there.url))[0] == 200
