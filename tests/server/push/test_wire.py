"""One POST: its deadline, the size of its answer, redirects, and when to come again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from aiohttp import web

from server.push.addresses import public_socket
from server.push.wire import NoAnswer, Wire, retry_after_s
from tests.rest.auth.sms.companies import (
    Answer,
    company,
    dripping,
    flooding,
    hanging_up,
    never,
    says,
)


async def test_what_is_sent_arrives_and_the_answer_comes_back() -> None:
    async with company(says(429, {"a": 1}, {"Retry-After": "7"})) as there:
        wire = Wire()
        answer = await wire.post(f"{there.url}/a%3Ab?c=d", b"body", {"X-One": "1"})
        await wire.close()
    assert (answer.status, answer.body, answer.retry_after_s) == (429, b'{"a": 1}', 7.0)
    assert answer.is_busy
    assert not answer.is_sent
    [(request, body)] = there.seen
    assert (request.raw_path, body, request.headers["X-One"]) == ("/a%3Ab?c=d", b"body", "1")


async def redirecting(_: web.Request) -> web.StreamResponse:
    raise web.HTTPTemporaryRedirect("http://127.0.0.1:1/")


@pytest.mark.parametrize("answer", [never, dripping, flooding, hanging_up, redirecting])
async def test_a_service_that_misbehaves_gives_no_answer(answer: Answer) -> None:
    async with company(answer) as there:
        wire = Wire(deadline_s=0.5)
        with pytest.raises(NoAnswer) as fault:
            await wire.post(f"{there.url}/secret", b"", {})
        await wire.close()
    assert "secret" not in str(fault.value)
    assert len(there.seen) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433"])
async def test_an_address_that_is_refused_is_not_connected_to(host: str) -> None:
    async with company(says(200)) as there:
        port = there.url.rpartition(":")[2]
        wire = Wire(socket_factory=public_socket)
        with pytest.raises(NoAnswer):
            await wire.post(f"http://{host}:{port}/", b"", {})
        await wire.close()
    assert there.seen == []


def test_when_to_come_again_is_said_in_seconds_or_by_a_date() -> None:
    now = datetime(2026, 1, 5, 12, tzinfo=UTC)

    def after(value: str | None) -> float | None:
        return retry_after_s(value, now.timestamp)

    assert after("3") == 3.0
    assert after("999999999") == 3_600.0
    assert after(format_datetime(now.replace(second=9), usegmt=True)) == 9.0
    assert after(format_datetime(now.replace(hour=11), usegmt=True)) == 0.0
    assert [after(each) for each in (None, "", "-1", "soon", "1.5", "٣")] == [None] * 6
