"""The REST client against a whole server in this process."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalling.client.rest import Api, ApiError, Balance, convert
from tests.served import served


@pytest.fixture
async def api(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Api]:
    async with served(dsn, tmp_path, monkeypatch) as url, Api(url) as client:
        yield client


async def test_a_new_account_pays_into_its_wallet_and_sells_its_time(api: Api) -> None:
    user = await api.signup("Ada", "ada@people.example", "pass-word-1")
    assert (await api.me()).id == user.id
    assert (await api.balance()).available == 0
    payment = await api.top_up(250)
    assert (payment.status, payment.amount) == ("completed", 250)
    assert (await api.balance()).available == 250
    assert {w.type: w.balance for w in await api.wallets()}["call_credits"] == 250
    await api.save_profile(displayName="Ada", pricePerMinute=90, tariff="minute")
    card = next(p for p in await api.providers() if p["otomoId"] == user.id)
    assert card["pricePerMinute"] == 90
    assert await api.calls() == []


async def test_a_refusal_carries_status_and_code(api: Api) -> None:
    with pytest.raises(ApiError) as refused:
        await api.login("mia@demo.talktime", "not-the-password")
    assert (refused.value.status, refused.value.code) == (401, "INVALID_CREDENTIALS")
    with pytest.raises(ApiError) as unknown:
        await api.request("GET", "/calls/00000000-0000-7000-8000-000000000000/billing")
    assert unknown.value.status == 401


async def test_a_refreshed_token_replaces_the_old_one(api: Api) -> None:
    await api.login("mia@demo.talktime", "talktime-demo")
    assert api.session is not None
    before = api.session.refresh_token
    assert await api.refresh() == api.token
    assert api.session.refresh_token != before
    assert (await api.me()).name == "Mia"


async def test_a_server_that_is_not_there_is_a_connection_error() -> None:
    async with Api("http://127.0.0.1:9") as nobody:
        with pytest.raises(ConnectionError):
            await nobody.login("a@b.example", "c")


def test_an_answer_of_another_shape_is_an_api_error() -> None:
    with pytest.raises(ApiError, match="UNEXPECTED_ANSWER"):
        convert({"balance": "much"}, Balance)


async def test_without_a_login_there_is_no_token() -> None:
    with pytest.raises(ApiError, match="UNAUTHORIZED"):
        _ = Api("http://127.0.0.1:9").token
