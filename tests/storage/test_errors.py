from __future__ import annotations

import pytest

from storage.errors import (
    Conflict,
    Fenced,
    IdempotencyMismatch,
    InsufficientFunds,
    NotFound,
    Refusal,
    Unavailable,
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (NotFound, "not_found"),
        (Conflict, "conflict"),
        (IdempotencyMismatch, "idempotency_conflict"),
        (Unavailable, "unavailable"),
        (Fenced, "fenced"),
    ],
)
def test_each_kind_has_its_public_code(kind: type[Refusal], code: str) -> None:
    refusal = kind()
    assert refusal.code == code
    assert refusal.message
    assert refusal.details == {}


def test_insufficient_funds_tells_both_amounts() -> None:
    refusal = InsufficientFunds(required_minor=120, available_minor=100)
    assert refusal.code == "insufficient_funds"
    assert refusal.details == {"required": 120, "available": 100}
    assert (refusal.required_minor, refusal.available_minor) == (120, 100)


def test_a_code_of_its_own_stays_with_that_one_refusal() -> None:
    refusal = Refusal("the number is blocked", code="user_blocked", until=5)
    assert refusal.code == "user_blocked"
    assert refusal.message == str(refusal) == "the number is blocked"
    assert refusal.details == {"until": 5}
    assert Refusal.code == "refused"


def test_without_a_message_the_code_speaks() -> None:
    assert str(NotFound()) == "not found"
