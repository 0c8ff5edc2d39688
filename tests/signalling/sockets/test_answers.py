"""What commands were answered, kept for a while and up to a number."""

import pytest

from signalling.codes import Code
from signalling.limits import SocketLimits
from signalling.sockets.answers import RETRIED, Answers

LIMITS = SocketLimits(answers_max=3, answers_kept_ms=1_000)


class Clock:
    def __init__(self) -> None:
        self.now_ms = 10_000

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def answers(clock: Clock) -> Answers:
    return Answers(LIMITS, clock)


def test_an_id_is_unknown_then_expected_then_answered(answers: Answers) -> None:
    assert answers.find("c1") is None
    answers.expect("c1")
    assert answers.find("c1") == (None,)
    answers.keep("c1", b"ok")
    assert answers.find("c1") == (b"ok",)


def test_the_first_answer_stands(answers: Answers) -> None:
    answers.expect("c1")
    answers.keep("c1", b"first")
    answers.keep("c1", b"second")
    assert answers.find("c1") == (b"first",)


def test_an_answer_that_nobody_expects_is_not_kept(answers: Answers) -> None:
    answers.keep("c1", b"ok")
    answers.expect("c2")
    answers.keep("c1", b"ok")
    assert answers.find("c1") is None


@pytest.mark.parametrize("code", list(Code))
def test_only_what_is_to_be_tried_again_is_forgotten(answers: Answers, code: Code) -> None:
    answers.expect("c1")
    answers.keep("c1", b"no", code)
    assert (answers.find("c1") is None) == (code in RETRIED)


def test_answers_grow_old(answers: Answers, clock: Clock) -> None:
    answers.expect("c1")
    answers.keep("c1", b"ok")
    clock.now_ms += LIMITS.answers_kept_ms - 1
    assert answers.find("c1") == (b"ok",)
    clock.now_ms += 1
    assert answers.find("c1") is None
    answers.drop(clock.now_ms)
    assert answers._kept is None, "nothing is left of them"


def test_the_oldest_make_room(answers: Answers) -> None:
    for number in range(5):
        answers.expect(f"c{number}")
    assert [answers.find(f"c{number}") is None for number in range(5)] == [True, True] + [False] * 3


def test_an_id_that_is_expected_again_is_young_again(answers: Answers, clock: Clock) -> None:
    answers.expect("c1")
    clock.now_ms += LIMITS.answers_kept_ms
    answers.expect("c1")
    assert answers.find("c1") == (None,)
