"""Parcels and questions: what is sent is what arrives, and nothing else is taken."""

import typing
from typing import Any
from uuid import UUID

import msgspec
import pytest

from signalling.codes import Code, Refused, State
from signalling.nodes import parcels

CALL, ANN, KAI = UUID(int=1), UUID(int=2), UUID(int=3)
PARCELS: list[Any] = [
    parcels.Telling(ANN, b"h", b"t", "phone", None, ("phone", "c1"), CALL, 3),
    parcels.InCall(ANN, "phone", True),
    parcels.Replaced(ANN, "phone", 5),
    parcels.SessionEnded(CALL),
    parcels.Present(ANN, "busy", "tea"),
    parcels.Present(ANN, None),
    parcels.Word(ANN, "break", None),
    parcels.WhoIsPresent(),
    parcels.Owns(CALL, (ANN, KAI), 2, True),
    parcels.Over(CALL, 2),
    parcels.Missed(CALL, (ANN, KAI), 0),
    parcels.Handed((CALL, ANN)),
    parcels.Commanded(ANN, "phone", b"{}"),
    parcels.Answered(ANN, "phone", "c1", b"{}", "wrong_state"),
    parcels.Answered(ANN, "phone", None, b"", not_here=CALL),
    parcels.SocketNews(ANN, "phone", CALL, "moving"),
    parcels.Funded(ANN, 7),
    parcels.Asked(1, b"q"),
    parcels.Told(1, b"a"),
    parcels.Declined(1, b"r"),
]
QUESTIONS: list[Any] = [
    parcels.Attach(CALL, ANN, "phone"),
    parcels.Join(CALL, ANN, CALL, None, True, "c1"),
    parcels.Look(CALL, ANN, "phone"),
    parcels.Look(CALL, ANN),
    parcels.Accept(CALL, ANN, True, False),
    parcels.Reject(CALL, ANN, "busy", None),
    parcels.End(CALL, ANN),
    parcels.Stop(CALL, CALL),
    parcels.Hook(CALL, CALL, "rtp"),
    parcels.Survey((CALL, ANN), True),
]


def test_none_is_left_out() -> None:
    assert {type(one) for one in PARCELS} == set(typing.get_args(parcels.AnyParcel))
    assert {type(one) for one in QUESTIONS} == set(typing.get_args(parcels.AnyQuestion))


@pytest.mark.parametrize("parcel", PARCELS, ids=lambda one: type(one).__name__)
def test_a_parcel_arrives_as_it_was_sent(parcel: Any) -> None:
    assert parcels.decode(parcels.encode(parcel)) == parcel


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda one: type(one).__name__)
def test_a_question_arrives_as_it_was_asked(question: Any) -> None:
    assert parcels.decode_question(parcels.encode(question)) == question


@pytest.mark.parametrize(
    "raw", [b"", b"x", msgspec.msgpack.encode(["Nothing", 1]), msgspec.msgpack.encode({})]
)
def test_what_is_none_of_ours_is_refused(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        parcels.decode(raw)
    with pytest.raises(msgspec.DecodeError):
        parcels.decode_question(raw)


def test_a_refusal_arrives_with_all_it_says() -> None:
    details: dict[str, object] = {"reason": State.ENDED, "call": CALL, "final": {"units": 2}}
    sent = Refused(Code.CALL_OVER, "It is over.", field="call", retry_after_ms=5, details=details)
    got = parcels.decode_refusal(parcels.encode_refusal(sent))
    assert (got.code, got.message, got.field, got.retry_after_ms) == (
        Code.CALL_OVER,
        "It is over.",
        "call",
        5,
    )
    assert got.details == {"reason": "ended", "call": str(CALL), "final": {"units": 2}}
