"""Standard Webhooks: the published example, and what is no secret."""

import base64
import hashlib
import hmac

import pytest

from server.standard_webhooks import headers, parse_secret, sign

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_published_example_has_the_published_signature() -> None:
    body = b'{"test": 2432232314}'

    signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)

    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_headers_are_those_of_the_standard() -> None:
    sent = headers(SECRET, "msg_1", 1_700_000_000, b"{}")

    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, b"msg_1.1700000000.{}", hashlib.sha256).digest()
    assert sent == {
        "webhook-id": "msg_1",
        "webhook-timestamp": "1700000000",
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def test_an_id_with_a_full_stop_is_refused() -> None:
    with pytest.raises(ValueError, match="full stop"):
        sign(SECRET, "a.b", 1, b"")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "begin with whsec_"),
        ("whsec_not base64", "base64"),
        ("whsec_ä", "base64"),
        ("whsec_" + base64.b64encode(b"k" * 23).decode(), "24 to 64 bytes"),
        ("whsec_" + base64.b64encode(b"k" * 65).decode(), "24 to 64 bytes"),
    ],
)
def test_a_bad_secret_is_told_without_repeating_it(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as refused:
        parse_secret(text)

    assert text not in str(refused.value)


def test_a_secret_of_24_to_64_bytes_is_taken() -> None:
    for size in (24, 64):
        key = b"k" * size
        assert parse_secret("whsec_" + base64.b64encode(key).decode()) == key
