"""Every way to hand in a token that is not one of ours ends in the same 401."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from rest.auth.tokens import TokenKeys
from rest.http.identity import caller
from rest.http.reply import reply
from rest.http.route import Route, mount
from server.access import Access
from server.middlewares import install
from signalling.codes import Code, Refused
from signalling.events import Shape

SECRET = "the secret of this test, 32 bytes and more"
OTHER = "another secret, which is just as long as it"
USER, SESSION, REVOKED = uuid4(), uuid4(), uuid4()
# Taken when the tests are collected: the whole run takes less than the tokens live.
NOW = int(time.time())
LIVES_S = 36_000

Client = TestClient[web.Request, web.Application]


class Who(Shape, frozen=True):
    user_id: UUID
    session_id: UUID
    roles: list[str]


async def who(request: web.Request) -> web.Response:
    me = caller(request)
    return reply(Who(user_id=me.user_id, session_id=me.session_id, roles=sorted(me.roles)))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    app = web.Application()
    install(app)
    access = Access(TokenKeys(SECRET), session_is_live=lambda session: session != REVOKED)
    mount(app, [Route("GET", "/who", who, summary="", returns=Who)], access.guard)
    async with TestClient(TestServer(app)) as opened:
        yield opened


def claims(**other: Any) -> dict[str, Any]:
    """The claims of a good token, with changes; `...` leaves one out."""
    good = {
        "iss": "talktime",
        "aud": "talktime",
        "sub": str(USER),
        "sid": str(SESSION),
        "jti": "one",
        "typ": "access",
        "roles": ["customer"],
        "iat": NOW - 5,
        "exp": NOW + LIVES_S,
    }
    return {name: value for name, value in (good | other).items() if value is not ...}


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Any, payload: Any, secret: str = SECRET, digest: str = "sha256") -> str:
    """A token put together by hand, so that nothing keeps it sane."""
    head = f"{part(header)}.{part(payload)}"
    mac = hmac.new(secret.encode(), head.encode(), getattr(hashlib, digest)).digest()
    return f"{head}.{part(mac)}"


HS256 = {"alg": "HS256", "typ": "JWT"}
GOOD = signed(HS256, claims())
HEAD, BODY, MAC = GOOD.split(".")

FORGED = {
    "another secret": signed(HS256, claims(), OTHER),
    "no algorithm": f"{part({'alg': 'none'})}.{BODY}.",
    "no algorithm, with signature": f"{part({'alg': 'none'})}.{BODY}.{MAC}",
    "no algorithm in capitals": f"{part({'alg': 'NONE'})}.{BODY}.{MAC}",
    "no alg at all": signed({"typ": "JWT"}, claims()),
    "alg is a list": signed({"alg": ["HS256"]}, claims()),
    "HS512 with the right secret": signed({"alg": "HS512"}, claims(), digest="sha512"),
    "RS256 named": signed({"alg": "RS256"}, claims()),
    "ES256 named": signed({"alg": "ES256"}, claims()),
    "key smuggled into the header": signed(
        {**HS256, "jwk": {"kty": "oct", "k": part(OTHER.encode())}}, claims(), OTHER
    ),
    "key behind a URL": signed({**HS256, "jku": "http://127.0.0.1/keys"}, claims(), OTHER),
    "kid is a path": signed({**HS256, "kid": "../../dev/null"}, claims(), ""),
    "kid is a number": signed({**HS256, "kid": 7}, claims()),
    "critical extension": signed({**HS256, "crit": ["b64"], "b64": False}, claims()),
    "signature cut off": f"{HEAD}.{BODY}.",
    "signature of zeros": f"{HEAD}.{BODY}.{'A' * 43}",
    "payload changed": f"{HEAD}.{part(claims(roles=['admin']))}.{MAC}",
    "header is a list": signed(["HS256"], claims()),
    "payload is a list": signed(HS256, [1]),
    "payload is null": signed(HS256, None),
    "payload is no JSON": signed(HS256, b"\xff\xfe"),
    "header is deep": signed(b"[" * 2_000, claims()),
    "payload is deep": signed(HS256, b"[" * 2_000),
    "four parts": f"{GOOD}.x",
    "two parts": f"{HEAD}.{BODY}",
    "one part": "abc",
    "expired": signed(HS256, claims(exp=NOW - 1)),
    "without exp": signed(HS256, claims(exp=...)),
    "exp is text": signed(HS256, claims(exp=str(NOW + LIVES_S))),
    "exp is infinite": signed(HS256, claims(exp=float("inf"))),
    "exp is a list": signed(HS256, claims(exp=[NOW + LIVES_S])),
    "exp is a fraction": signed(HS256, claims(exp=NOW + LIVES_S + 0.5)),
    "without iat": signed(HS256, claims(iat=...)),
    "issued tomorrow": signed(HS256, claims(iat=NOW + 86_400)),
    "not valid yet": signed(HS256, claims(nbf=NOW + LIVES_S)),
    "without sub": signed(HS256, claims(sub=...)),
    "sub is a number": signed(HS256, claims(sub=7)),
    "sub is no id": signed(HS256, claims(sub="root")),
    "without jti": signed(HS256, claims(jti=...)),
    "jti is empty": signed(HS256, claims(jti="")),
    "without sid": signed(HS256, claims(sid=...)),
    "without typ": signed(HS256, claims(typ=...)),
    "a refresh token": signed(HS256, claims(typ="refresh")),
    "a ticket": signed(HS256, claims(typ="ticket")),
    "without roles": signed(HS256, claims(roles=...)),
    "roles are text": signed(HS256, claims(roles="admin")),
    "roles are numbers": signed(HS256, claims(roles=[1])),
    "without iss": signed(HS256, claims(iss=...)),
    "another issuer": signed(HS256, claims(iss="elsewhere")),
    "without aud": signed(HS256, claims(aud=...)),
    "another audience": signed(HS256, claims(aud="elsewhere")),
    "two audiences": signed(HS256, claims(aud=["talktime", "elsewhere"])),
    "a revoked session": signed(HS256, claims(sid=str(REVOKED))),
    "longer than any of ours": signed(HS256, claims(jti="x" * 3_000)),
}


async def get(client: Client, headers: Any) -> tuple[int, dict[str, str], Any]:
    async with client.get("/who", headers=headers) as response:
        return response.status, dict(response.headers), await response.json()


async def test_a_good_token_names_its_caller(client: Client) -> None:
    status, _, body = await get(client, {"Authorization": f"Bearer {GOOD}"})
    assert status == 200
    assert body == {
        "success": True,
        "userId": str(USER),
        "sessionId": str(SESSION),
        "roles": ["customer"],
    }


@pytest.mark.parametrize("kind", FORGED)
async def test_a_forged_or_odd_token_is_a_401(client: Client, kind: str) -> None:
    status, headers, body = await get(client, {"Authorization": f"Bearer {FORGED[kind]}"})
    assert status == 401
    assert body["error"] == ("TOKEN_EXPIRED" if kind == "expired" else "UNAUTHORIZED")
    assert headers["WWW-Authenticate"] == 'Bearer realm="talktime", error="invalid_token"'
    assert headers["Content-Type"].startswith("application/json")


@pytest.mark.parametrize("kind", FORGED)
def test_the_socket_refuses_the_same_tokens(kind: str) -> None:
    if kind == "a revoked session":
        # Whether a session still lives is asked by the one who reads the token.
        assert TokenKeys(SECRET).read(FORGED[kind]).session_id == REVOKED
        return
    with pytest.raises(Refused) as refused:
        TokenKeys(SECRET).read(FORGED[kind])
    expected = Code.TOKEN_EXPIRED if kind == "expired" else Code.UNAUTHORIZED
    assert refused.value.code is expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer",
        "Bearer ",
        f"BearerX {GOOD}",
        f"Token {GOOD}",
        f"Basic {GOOD}",
        GOOD,
        f"Bearer {GOOD} x",
        f"Bearer {GOOD},{GOOD}",
        f"Bearer\t{GOOD}",
        f"Bearer {GOOD}=",
        f"Bearer '{GOOD}'",
        "Bearer üüü",
    ],
)
async def test_another_header_is_a_401(client: Client, value: str) -> None:
    status, headers, body = await get(client, {"Authorization": value})
    assert (status, body["error"]) == (401, "UNAUTHORIZED")
    assert headers["WWW-Authenticate"].startswith("Bearer")


async def test_no_header_is_a_401_without_an_error_word(client: Client) -> None:
    status, headers, body = await get(client, {})
    assert (status, body["error"]) == (401, "UNAUTHORIZED")
    assert headers["WWW-Authenticate"] == 'Bearer realm="talktime"'


async def test_two_headers_are_a_401(client: Client) -> None:
    twice = [("Authorization", f"Bearer {GOOD}"), ("Authorization", f"Bearer {GOOD}")]
    assert (await get(client, twice))[0] == 401


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "bEaReR", "Bearer  "])
async def test_the_scheme_is_read_in_any_case(client: Client, scheme: str) -> None:
    assert (await get(client, {"Authorization": f"{scheme} {GOOD}"}))[0] == 200


async def test_a_cookie_opens_nothing(client: Client) -> None:
    assert (await get(client, {"Cookie": f"token={GOOD}; Authorization=Bearer {GOOD}"}))[0] == 401


async def test_a_token_with_an_unknown_claim_more_is_good(client: Client) -> None:
    token = jwt.encode(claims(extra="x"), SECRET, algorithm="HS256")
    assert (await get(client, {"Authorization": f"Bearer {token}"}))[0] == 200


async def test_the_message_tells_nothing_of_the_token(client: Client) -> None:
    _, _, body = await get(client, {"Authorization": f"Bearer {FORGED['another issuer']}"})
    assert body["message"] == "The access token is not valid."


class Guarded:
    """A server whose clock and revoked sessions the test sets."""

    def __init__(self) -> None:
        self.now_s = float(NOW)
        self.ended: set[UUID] = set()
        self.access = Access(
            TokenKeys(SECRET),
            session_is_live=lambda session: session not in self.ended,
            wall_s=lambda: self.now_s,
        )
        self.app = web.Application()
        install(self.app)
        mount(self.app, [Route("GET", "/who", who, summary="", returns=Who)], self.access.guard)


async def test_a_token_that_was_good_ends_with_its_session_and_with_its_time() -> None:
    guarded = Guarded()
    headers = {"Authorization": f"Bearer {GOOD}"}
    late = signed({"alg": "HS256", "typ": "JWT"}, claims(sid=str(uuid4()), exp=NOW + LIVES_S // 2))
    async with TestClient(TestServer(guarded.app)) as opened:
        for _ in range(2):
            assert (await get(opened, headers))[0] == 200
        guarded.ended.add(SESSION)
        assert (await get(opened, headers))[0] == 401
        late_headers = {"Authorization": f"Bearer {late}"}
        assert (await get(opened, late_headers))[0] == 200
        assert late in guarded.access._checked
        guarded.now_s = NOW + LIVES_S / 2
        await get(opened, late_headers)
        assert guarded.access._known(late) is None


async def test_only_so_many_checked_tokens_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.access.CHECKED_MAX", 3)
    guarded = Guarded()
    async with TestClient(TestServer(guarded.app)) as opened:
        for number in range(5):
            token = signed({"alg": "HS256", "typ": "JWT"}, claims(jti=str(number)))
            assert (await get(opened, {"Authorization": f"Bearer {token}"}))[0] == 200
        assert list(guarded.access._checked)[-1] == token
        assert len(guarded.access._checked) == 3
