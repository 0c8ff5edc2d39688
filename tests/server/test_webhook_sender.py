"""One POST: what it carries, what is made of answers, and where it never goes."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from aiohttp import web

from server.webhook_sender import (
    ANSWER_BYTES_MAX,
    NO_PUBLIC,
    Answer,
    NotPublic,
    Sender,
    public_socket,
)
from tests.server.receiver import Got, Receiver, answering, receiving

BODY = b'{"type":"webhook.test"}'
HEADERS = {"webhook-id": "one"}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    opened = Sender(strict=False)
    yield opened
    await opened.close()


async def post(sender: Sender, receiver: Receiver) -> Answer:
    return await sender.post(receiver.url, BODY, HEADERS)


async def test_the_body_goes_as_it_is_with_its_headers(sender: Sender, receiver: Receiver) -> None:
    answer = await post(sender, receiver)
    assert (answer.status, answer.error, answer.text) == (204, None, None)
    [got] = receiver.got
    assert got.raw == BODY
    assert (got.id, got.headers["content-type"]) == ("one", "application/json")


async def test_a_refusal_is_told_with_the_beginning_of_its_text(
    sender: Sender, receiver: Receiver
) -> None:
    receiver.answer = answering(422)
    answer = await post(sender, receiver)
    assert (answer.status, answer.error, answer.text) == (422, "status 422", "said 422")


async def test_no_more_of_an_answer_is_read_than_a_kibibyte(
    sender: Sender, receiver: Receiver
) -> None:
    async def endless(_: Got) -> web.Response:
        return web.Response(status=500, body=b"a\0\x1b" * 10_000_000)

    receiver.answer = endless
    answer = await post(sender, receiver)
    assert answer.text is not None
    assert set(answer.text) == {"a"}
    assert len(answer.text) <= ANSWER_BYTES_MAX


async def test_a_redirect_is_not_followed(sender: Sender, receiver: Receiver) -> None:
    receiver.answer = answering(307, headers={"Location": receiver.url})
    answer = await post(sender, receiver)
    assert (answer.status, answer.error) == (307, "status 307")
    assert len(receiver.got) == 1


async def test_an_answer_that_does_not_come_is_not_waited_for(receiver: Receiver) -> None:
    never = asyncio.Event()

    async def silent(_: Got) -> web.Response:
        await never.wait()
        return web.Response()

    receiver.answer = silent
    sender = Sender(strict=False, deadline_s=0.1)
    answer = await post(sender, receiver)
    never.set()
    await sender.close()
    assert (answer.status, answer.error) == (None, "no answer within 0.1 s")


async def test_a_closed_port_is_told_in_words_of_ours(sender: Sender) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/hook?key=hush"
        answer = await sender.post(url, BODY, HEADERS)
    assert (answer.status, answer.error) == (None, "no connection to it")


async def test_a_server_that_speaks_no_tls_is_told_in_words_of_ours(
    sender: Sender, receiver: Receiver
) -> None:
    answer = await sender.post(receiver.url.replace("http:", "https:"), BODY, HEADERS)
    assert (answer.status, answer.error) == (None, "no TLS with it")


@pytest.mark.parametrize(
    ("status", "told", "wait_s"),
    [(429, "7", 7.0), (503, "0", 0.0), (503, "999999999999", 86_400.0), (500, "7", None),
     (429, "soon", None), (429, "-1", None), (429, "Mon, 01 Jan 1990 00:00:00 GMT", 0.0)],
)  # fmt: skip
async def test_who_is_busy_says_when_to_come_back(
    sender: Sender, receiver: Receiver, status: int, told: str, wait_s: float | None
) -> None:
    receiver.answer = answering(status, headers={"Retry-After": told})
    assert (await post(sender, receiver)).retry_after_s == wait_s


async def test_the_moment_to_come_back_may_be_a_date(sender: Sender, receiver: Receiver) -> None:
    then = format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True)
    receiver.answer = answering(429, headers={"Retry-After": then})
    wait_s = (await post(sender, receiver)).retry_after_s
    assert wait_s is not None
    assert 3_000 < wait_s <= 3_600


@pytest.mark.parametrize("host", ["localhost", "localhost."])
async def test_in_production_no_name_leads_inside(receiver: Receiver, host: str) -> None:
    strict = Sender(strict=True)
    port = receiver.url.split(":")[2]
    answer = await strict.post(f"https://{host}:{port}", BODY, HEADERS)
    await strict.close()
    assert answer.status is None
    assert answer.error in (NO_PUBLIC, "its name leads nowhere")
    assert receiver.got == []


@pytest.mark.parametrize("url", ["https://127.0.0.1:1/", "https://127.1:1/", "http://example.org/"])
async def test_in_production_an_url_of_development_is_not_used(url: str) -> None:
    strict = Sender(strict=True)
    answer = await strict.post(url, BODY, HEADERS)
    await strict.close()
    assert answer.error is not None
    assert answer.error.startswith("the URL must")


@pytest.mark.parametrize("host", ["127.0.0.1", "10.0.0.1", "127.1", "localhost", ""])
def test_no_socket_is_made_for_an_address_inside(host: str) -> None:
    with pytest.raises(NotPublic):
        public_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, 443)))


def test_a_socket_is_made_for_a_public_address() -> None:
    public_socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("93.184.215.14", 443))).close()
