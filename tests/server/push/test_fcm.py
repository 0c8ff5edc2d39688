"""FCM: the token that is asked for first, the message, and what Google's answers mean."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import jwt
import msgspec
import pytest
from aiohttp import web

from server.push.fcm import GRANT, FcmPush, ServiceAccount, read_account
from server.push.port import SENT, Outcome, Said
from server.push.wire import Wire
from tests.rest.auth.sms.companies import Answer, Company, company, never, says
from tests.server.push.services import PAYLOAD, PHONE, TTL_S, WAKE, clock
from tests.server.push.test_tokens import RSA_KEY, pem


def refusal(
    status: int, word: str, code: str = "", headers: dict[str, str] | None = None
) -> Answer:
    details: list[dict[str, str]] = [{"@type": "type.googleapis.com/google.rpc.BadRequest"}]
    if code:
        kind = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
        details.append({"@type": kind, "errorCode": code})
    error = {"code": status, "message": "words", "status": word, "details": details}
    return says(status, {"error": error}, headers)


class Google:
    """Grants tokens t1, t2…; `messages` is what it says to messages."""

    def __init__(self, messages: Answer) -> None:
        self.messages = messages
        self.granted = 0
        self.grant: Answer | None = None
        self.here: Company

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path != "/token":
            return await self.messages(request)
        if self.grant is not None:
            return await self.grant(request)
        self.granted += 1
        return web.json_response(
            {"access_token": f"t{self.granted}", "expires_in": 3_599, "token_type": "Bearer"}
        )

    @property
    def sent(self) -> list[tuple[web.Request, bytes]]:
        return [each for each in self.here.seen if each[0].path != "/token"]


@asynccontextmanager
async def google(messages: Answer) -> AsyncIterator[tuple[Google, FcmPush]]:
    there = Google(messages)
    async with company(there.answer) as there.here:
        account = ServiceAccount(
            project_id="talk-1",
            private_key_id="k1",
            private_key="",
            client_email="push@talk-1.example",
            token_uri=f"{there.here.url}/token",
        )
        wire = Wire(deadline_s=0.5)
        adapter = FcmPush(account, RSA_KEY, clock=clock, wire=wire, api_url=there.here.url)
        yield there, adapter
        await adapter.close()


async def send(adapter: FcmPush) -> Said:
    return await adapter.send(WAKE, PHONE, TTL_S)


async def test_a_message_is_data_of_high_priority_for_as_long_as_it_rings() -> None:
    async with google(says(200, {"name": "projects/talk-1/messages/1"})) as (there, adapter):
        assert await send(adapter) == SENT
    [(request, raw)] = there.sent
    assert (request.method, request.path) == ("POST", "/v1/projects/talk-1/messages:send")
    assert request.headers["Authorization"] == "Bearer t1"
    assert msgspec.json.decode(raw) == {
        "message": {
            "token": PHONE.target,
            "data": {"type": "call"} | {name: str(value) for name, value in PAYLOAD.items()},
            "android": {"priority": "HIGH", "ttl": "20s"},
        }
    }


async def test_one_token_is_asked_for_with_a_signed_assertion_and_kept() -> None:
    async with google(says(200, {})) as (there, adapter):
        assert set(await asyncio.gather(send(adapter), send(adapter))) == {SENT}
        assert await send(adapter) == SENT
    [(_, form)] = [each for each in there.here.seen if each[0].path == "/token"]
    given = parse_qs(form.decode())
    assert given["grant_type"] == [GRANT]
    claims = jwt.decode(
        given["assertion"][0],
        RSA_KEY.public_key(),
        ["RS256"],
        audience=f"{there.here.url}/token",
        options={"verify_exp": False, "verify_iat": False},
    )
    assert claims["iss"] == "push@talk-1.example"


async def test_a_token_that_is_refused_is_replaced_for_the_next_try() -> None:
    async with google(refusal(401, "UNAUTHENTICATED")) as (there, adapter):
        assert (await send(adapter)).outcome is Outcome.BUSY
        there.messages = says(200, {})
        assert await send(adapter) == SENT
    assert [request.headers["Authorization"] for request, _ in there.sent] == [
        "Bearer t1",
        "Bearer t2",
    ]


@pytest.mark.parametrize(
    ("answer", "outcome", "after_s"),
    [
        (refusal(404, "NOT_FOUND", "UNREGISTERED"), Outcome.GONE, None),
        (refusal(404, "NOT_FOUND"), Outcome.REFUSED, None),
        (says(404, "no JSON of theirs"), Outcome.REFUSED, None),
        (refusal(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"), Outcome.REFUSED, None),
        (refusal(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH"), Outcome.REFUSED, None),
        (
            refusal(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", {"Retry-After": "3"}),
            Outcome.BUSY,
            3.0,
        ),
        (refusal(503, "UNAVAILABLE", "UNAVAILABLE"), Outcome.BUSY, None),
        (never, Outcome.BUSY, None),
    ],
)
async def test_what_the_answers_mean(
    answer: Answer, outcome: Outcome, after_s: float | None
) -> None:
    async with google(answer) as (_, adapter):
        said = await send(adapter)
    assert (said.outcome, said.retry_after_s) == (outcome, after_s)
    assert PHONE.target not in said.why


@pytest.mark.parametrize(
    "grant",
    [
        never,
        says(400, {"error": "invalid_grant"}),
        says(200, {"token": "t"}),
        says(200, {"access_token": "a\r\nX-Evil: 1", "expires_in": 9}),
        says(302, headers={"Location": "http://127.0.0.1:1/"}),
    ],
)
async def test_without_a_token_nothing_is_sent(grant: Answer) -> None:
    async with google(says(200, {})) as (there, adapter):
        there.grant = grant
        assert (await send(adapter)).outcome is Outcome.BUSY
    assert there.sent == []


FILE = {
    "type": "service_account",
    "project_id": "talk-1",
    "private_key_id": "k1",
    "private_key": pem(RSA_KEY),
    "client_email": "push@talk-1.example",
}


def test_the_file_of_a_service_account_is_read() -> None:
    account, key = read_account(msgspec.json.encode(FILE))
    assert (account.project_id, account.token_uri) == (
        "talk-1",
        "https://oauth2.googleapis.com/token",
    )
    assert key.private_numbers() == RSA_KEY.private_numbers()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"[]",
        b"\xff",
        msgspec.json.encode({**FILE, "private_key": "secret"}),
        msgspec.json.encode({**FILE, "project_id": "../x"}),
        msgspec.json.encode({**FILE, "token_uri": "http://token.example/"}),
        msgspec.json.encode({"project_id": "talk-1"}),
    ],
)
def test_other_files_are_refused_without_quoting_them(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"^(is not|has) ") as refused:
        read_account(raw)
    assert "secret" not in str(refused.value)
