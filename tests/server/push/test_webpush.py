"""Web push: what the service sees, what the browser reads, and what is never sent to."""

from __future__ import annotations

import base64

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from msgspec.structs import replace

from server.push.addresses import public_socket
from server.push.ece import point_of
from server.push.port import SENT, Outcome, Said
from server.push.webpush import WebPush, origin_of, public_text, read_vapid_key
from server.push.wire import Wire
from storage.devices import Registered
from tests.rest.auth.sms.companies import Answer, company, never, says
from tests.rest.harness import START_MS
from tests.server.push.browser import Browser
from tests.server.push.services import PAYLOAD, PHONE, TTL_S, WAKE, clock

KEY = ec.generate_private_key(ec.SECP256R1())
BROWSER = Browser()


def subscribed(endpoint: str) -> Registered:
    return replace(
        PHONE,
        platform="web",
        provider="webpush",
        target=endpoint,
        p256dh=BROWSER.p256dh,
        auth=BROWSER.auth,
    )


async def send(to: Registered, *, plain: bool = True) -> Said:
    adapter = WebPush(
        KEY,
        contact="mailto:ops@talk.example",
        hosts=["push.example"],
        clock=clock,
        wire=Wire(deadline_s=0.5, socket_factory=None if plain else public_socket),
        plain=plain,
    )
    said = await adapter.send(WAKE, to, TTL_S)
    await adapter.close()
    return said


async def test_the_browser_reads_what_the_service_cannot() -> None:
    async with company(says(201)) as there:
        assert await send(subscribed(f"{there.url}/send/1")) == SENT
    [(request, body)] = there.seen
    assert (request.method, request.path) == ("POST", "/send/1")
    sent = {name: request.headers[name] for name in ("TTL", "Urgency", "Content-Encoding")}
    assert sent == {"TTL": str(TTL_S), "Urgency": "high", "Content-Encoding": "aes128gcm"}
    assert msgspec.json.decode(BROWSER.read(body)) == {"type": "call"} | PAYLOAD
    scheme, _, rest = request.headers["Authorization"].partition(" ")
    given = dict(part.strip().split("=", 1) for part in rest.split(","))
    assert (scheme, given["k"]) == ("vapid", public_text(KEY))
    claims = jwt.decode(
        given["t"],
        KEY.public_key(),
        ["ES256"],
        audience=there.url,
        options={"verify_exp": False},
    )
    assert claims["sub"] == "mailto:ops@talk.example"
    assert 0 < claims["exp"] - START_MS // 1_000 <= 86_400


@pytest.mark.parametrize(
    ("answer", "outcome", "after_s"),
    [
        (says(404), Outcome.GONE, None),
        (says(410), Outcome.GONE, None),
        (says(403), Outcome.REFUSED, None),
        (says(413), Outcome.REFUSED, None),
        (says(429, headers={"Retry-After": "9"}), Outcome.BUSY, 9.0),
        (says(500), Outcome.BUSY, None),
        (says(307, headers={"Location": "http://127.0.0.1:1/"}), Outcome.BUSY, None),
        (never, Outcome.BUSY, None),
    ],
)
async def test_what_the_answers_mean(
    answer: Answer, outcome: Outcome, after_s: float | None
) -> None:
    async with company(answer) as there:
        said = await send(subscribed(there.url + "/secret"))
    assert (said.outcome, said.retry_after_s) == (outcome, after_s)
    assert "secret" not in said.why


async def test_an_endpoint_that_is_not_trusted_is_never_asked() -> None:
    async with company(says(201)) as there:
        said = await send(subscribed(there.url + "/send"), plain=False)
        assert said.outcome is Outcome.REFUSED
    assert there.seen == []
    assert (await send(subscribed("https://other.example/"))).outcome is Outcome.REFUSED
    assert (await send(replace(subscribed("https://push.example/"), auth=None))).outcome is (
        Outcome.REFUSED
    )


def test_an_origin_names_no_usual_port() -> None:
    assert origin_of("https://push.example:443/send?a=b") == "https://push.example"
    assert origin_of("http://127.0.0.1:8080/send") == "http://127.0.0.1:8080"


async def test_keys_that_no_browser_has_are_gone() -> None:
    to = replace(subscribed("https://push.example/1"), p256dh=b"\4" + b"k" * 64)
    assert (await send(to)).outcome is Outcome.GONE


def test_the_operator_s_key_is_read_and_its_public_half_shown() -> None:
    secret = KEY.private_numbers().private_value.to_bytes(32)
    text = base64.urlsafe_b64encode(secret).rstrip(b"=").decode()
    key = read_vapid_key(text)
    assert point_of(key) == point_of(KEY)
    assert public_text(key) == base64.urlsafe_b64encode(point_of(KEY)).rstrip(b"=").decode()


@pytest.mark.parametrize("text", ["", "ä", "short", "A" * 43, "_" * 43, "x" * 86, "a b"])
def test_other_keys_are_refused_without_quoting_them(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        read_vapid_key(text)
    assert not text or text not in str(refused.value)
