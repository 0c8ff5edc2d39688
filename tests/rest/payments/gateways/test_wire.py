from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from rest.payments.gateways.port import GatewayDown
from rest.payments.gateways.wire import ANSWER_BYTES_MAX, exchange, make_session
from tests.rest.payments.gateways.fake_server import FakeServer, Mood


class Echo(FakeServer):
    def routes(self) -> list[web.RouteDef]:
        async def echo(request: web.Request) -> web.Response:
            headers = {"X-Target": request.raw_path, "X-Given": request.headers["X-Given"]}
            return web.Response(body=await request.read(), status=418, headers=headers)

        async def full(request: web.Request) -> web.Response:
            return web.Response(body=b"x" * ANSWER_BYTES_MAX)

        return [web.post("/echo", echo), web.get("/full", full)]


@pytest.fixture
async def echo() -> AsyncIterator[Echo]:
    fake = Echo()
    await fake.start()
    yield fake
    await fake.close()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with make_session() as made:
        yield made


async def test_the_answer_comes_as_it_is_whatever_its_status(
    echo: Echo, session: aiohttp.ClientSession
) -> None:
    body, status, headers = await exchange(
        session,
        "POST",
        f"{echo.url}/echo",
        headers={"X-Given": "1"},
        data=b"body",
        params={"ref": "MNFY|1&2"},
    )
    assert (body, status, headers["X-Given"]) == (b"body", 418, "1")
    assert headers["X-Target"] == "/echo?ref=MNFY%7C1%262"


async def test_the_largest_answer_is_still_read(echo: Echo, session: aiohttp.ClientSession) -> None:
    body, _, _ = await exchange(session, "GET", f"{echo.url}/full", headers={})
    assert len(body) == ANSWER_BYTES_MAX


async def test_a_redirect_is_an_answer_and_not_followed(
    echo: Echo, session: aiohttp.ClientSession
) -> None:
    echo.mood = "redirect"
    _, status, _ = await exchange(session, "GET", f"{echo.url}/full", headers={})
    assert (status, echo.trapped) == (307, 0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("mood", ["slow", "huge", "cut"])
async def test_no_whole_answer_in_time_is_no_answer(echo: Echo, mood: Mood) -> None:
    echo.mood = mood
    async with make_session() as hasty:
        with pytest.raises(GatewayDown):
            await exchange(hasty, "GET", f"{echo.url}/full", headers={})


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "no url", "http://[::1/"])
async def test_nobody_there_is_no_answer(session: aiohttp.ClientSession, url: str) -> None:
    with pytest.raises(GatewayDown):
        await exchange(session, "GET", url.format(port=unused_port()), headers={})
