from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from rest.payments.gateways.port import GatewayDown
from rest.payments.gateways.wire import ANSWER_BYTES_MAX, FAILURES_MAX, REST_S, Line
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


class Seconds:
    """A monotonic clock that only a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
async def line(seconds: Seconds) -> AsyncIterator[Line]:
    made = Line(seconds)
    yield made
    await made.close()


async def test_the_answer_comes_as_it_is_whatever_its_status(echo: Echo, line: Line) -> None:
    body, status, headers = await line.exchange(
        "POST",
        f"{echo.url}/echo",
        headers={"X-Given": "1"},
        data=b"body",
        params={"ref": "MNFY|1&2"},
    )
    assert (body, status, headers["X-Given"]) == (b"body", 418, "1")
    assert headers["X-Target"] == "/echo?ref=MNFY%7C1%262"


async def test_the_largest_answer_is_still_read(echo: Echo, line: Line) -> None:
    body, _, _ = await line.exchange("GET", f"{echo.url}/full", headers={})
    assert len(body) == ANSWER_BYTES_MAX


async def test_a_redirect_is_an_answer_and_not_followed(echo: Echo, line: Line) -> None:
    echo.mood = "redirect"
    _, status, _ = await line.exchange("GET", f"{echo.url}/full", headers={})
    assert (status, echo.trapped) == (307, 0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("mood", ["slow", "huge", "cut"])
async def test_no_whole_answer_in_time_is_no_answer(echo: Echo, line: Line, mood: Mood) -> None:
    echo.mood = mood
    with pytest.raises(GatewayDown):
        await line.exchange("GET", f"{echo.url}/full", headers={})


@pytest.mark.parametrize("mood", ["down", "huge"])
async def test_after_failures_nobody_waits_until_one_has_tried_for_all(
    echo: Echo, line: Line, seconds: Seconds, mood: Mood
) -> None:
    async def ask() -> bool:
        try:
            _, status, _ = await line.exchange("GET", f"{echo.url}/full", headers={})
        except GatewayDown:
            return False
        return status == 200

    echo.mood = mood
    for _ in range(FAILURES_MAX + 20):
        assert not await ask()
    assert len(echo.asked) == FAILURES_MAX

    seconds.now += REST_S
    assert await asyncio.gather(*(ask() for _ in range(20))) == [False] * 20
    assert len(echo.asked) == FAILURES_MAX + 1

    echo.mood = "well"
    assert not await ask()
    seconds.now += REST_S
    assert [await ask() for _ in range(3)] == [True] * 3


async def test_a_failure_now_and_then_is_no_reason_to_rest(echo: Echo, line: Line) -> None:
    for _ in range(FAILURES_MAX):
        for mood in ("down", "busy"):
            echo.mood = mood
            await line.exchange("GET", f"{echo.url}/full", headers={})
    assert len(echo.asked) == 2 * FAILURES_MAX


@pytest.mark.parametrize("url", ["http://127.0.0.1:{port}/", "no url", "http://[::1/"])
async def test_nobody_there_is_no_answer(line: Line, url: str) -> None:
    with pytest.raises(GatewayDown):
        await line.exchange("GET", url.format(port=unused_port()), headers={})
