"""What is about people does not get through, and everything else does."""

from __future__ import annotations

import time

import pytest

from server.scrub import LEFT_OUT, TEXT_MAX, scrub, scrub_codes, scrub_within

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl"
SDP = "v=0\r\no=- 1 2 IN IP4 203.0.113.9\r\ns=-\r\na=ice-pwd:hushhushhush\r\n"


@pytest.mark.parametrize(
    ("text", "private"),
    [
        (f"token {JWT} refused", JWT),
        (f"a body: {JWT + chr(10) + JWT!r}", JWT),
        ("Authorization: Bearer abc.def-123", "abc.def-123"),
        ("no account ann.lee+x@mail.example.org here", "ann.lee"),
        ("cannot call +819012345678", "12345678"),
        ("cannot call +81 90-1234-5678 now", "1234-56"),
        (f"bad description: {SDP}", "203.0.113.9"),
        (f"bad description: {SDP!r}", "203.0.113.9"),
        ("candidate:1 1 udp 2122 203.0.113.9 4000 typ host", "203.0.113.9"),
        ("a=ice-pwd:hushhushhush", "hushhush"),
        ("duplicate\nDETAIL:  Key (phone)=(0901234) already exists.", "0901234"),
        ("Failing row contains (1, ann, hello there).", "hello there"),
    ],
)
def test_private_things_are_left_out(text: str, private: str) -> None:
    assert private in text
    assert private not in scrub(text)


def test_a_phone_number_is_masked_so_that_two_can_be_told_apart() -> None:
    assert scrub("to +819012345678.") == "to +81…78."


@pytest.mark.parametrize(
    "text",
    [
        "a slice failed (TimeoutError: ); trying again",
        "2026-01-01T09:00:00.123Z",
        "01a213d2-ab78-7357-8f01-fd4df24608f1",
        "GET /calls/{id} 200 1+1=2",
        'File "server/app.py", line 1234, in _start',
        "listening on http://127.0.0.1:8080",
    ],
)
def test_what_is_about_nobody_stays(text: str) -> None:
    assert scrub(text) == text


@pytest.mark.parametrize("text", ["code {}", "code {}.", "code:{}", "code={}, too old", '"{}"'])
def test_codes_are_left_out_where_asked_for(text: str) -> None:
    assert scrub_codes(text.format("483920")) == text.format(LEFT_OUT)
    assert scrub(text.format("483920")) == text.format("483920")


def test_ids_and_small_numbers_are_no_codes() -> None:
    text = "call 01a213d2-1234-7358-8f01-fd4df24608f1, 12 tries, 0.123456 s"
    assert scrub_codes(text) == text


def test_a_long_text_is_cut() -> None:
    assert len(scrub("x" * 10 * TEXT_MAX)) == TEXT_MAX + 1


def test_texts_are_found_wherever_they_are() -> None:
    found = scrub_within({"a": [{"b": "ann@example.org"}, 3], "c": ("+819012345678", None)})
    assert found == {"a": [{"b": LEFT_OUT}, 3], "c": ["+81…78", None]}


def test_what_is_nested_without_end_is_left_out() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert "left out" in str(scrub_within(endless))


@pytest.mark.parametrize("text", ["eyJ" * 2_000, "a" * 7_000 + "@", "+1 " * 2_000, "v=0 " * 2_000])
def test_no_text_can_hold_up_the_loop(text: str) -> None:
    began = time.perf_counter()
    scrub_codes(text)
    assert time.perf_counter() - began < 0.1
