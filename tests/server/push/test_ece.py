"""The encryption of web pushes: the example of RFC 8291, and a browser that reads."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from server.push.ece import PLAIN_BYTES_MAX, encrypt, point_of
from tests.server.push.browser import Browser


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def test_the_example_of_the_rfc_has_the_published_message() -> None:
    """RFC 8291, appendix A."""
    sender = ec.derive_private_key(
        int.from_bytes(raw("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw")), ec.SECP256R1()
    )
    body = encrypt(
        b"When I grow up, I want to be a watermelon",
        p256dh=raw(
            "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
        ),
        auth=raw("BTBZMqHH6r4Tts7J_aSIgg"),
        sender=sender,
        salt=raw("DGv6ra1nlYgDCS1FRnbzlw"),
    )
    assert body == raw(
        "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
        "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
        "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
    )


def test_the_browser_reads_it_and_no_message_is_like_another() -> None:
    browser = Browser()
    first, second = (encrypt(b"hello", p256dh=browser.p256dh, auth=browser.auth) for _ in range(2))
    assert (browser.read(first), browser.read(second)) == (b"hello", b"hello")
    assert first[:16] != second[:16]
    assert first[21:86] != second[21:86]


def test_a_key_that_is_no_point_and_a_message_too_long_are_refused() -> None:
    browser = Browser()
    with pytest.raises(ValueError):
        encrypt(b"", p256dh=b"\4" + b"k" * 64, auth=browser.auth)
    with pytest.raises(ValueError):
        encrypt(b"x" * (PLAIN_BYTES_MAX + 1), p256dh=browser.p256dh, auth=browser.auth)
    full = encrypt(b"x" * PLAIN_BYTES_MAX, p256dh=browser.p256dh, auth=browser.auth)
    assert browser.read(full) == b"x" * PLAIN_BYTES_MAX


def test_a_point_is_65_bytes() -> None:
    point = point_of(ec.generate_private_key(ec.SECP256R1()))
    assert (len(point), point[0]) == (65, 4)
