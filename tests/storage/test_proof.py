"""For how long a node has proved its epoch again and again."""

import pytest

from storage.proof import GAP_S, Proof


class Seconds:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def proof(seconds: Seconds) -> Proof:
    return Proof(seconds)


def test_at_first_nothing_is_proved(proof: Proof) -> None:
    assert (proof.at_s, proof.steady_ms) == (100.0, 0)


def test_it_tells_when_the_last_transaction_began_that_proved_it(proof: Proof) -> None:
    proof.given(100.5)
    proof.given(101.5)
    assert proof.at_s == 101.5


def test_it_is_steady_from_the_first_proof_to_the_last(proof: Proof, seconds: Seconds) -> None:
    for _ in range(10):
        seconds.now += 1
        proof.given(0)
    seconds.now += GAP_S / 2
    assert proof.steady_ms == 10_000, "what comes after the last proof does not count"


def test_proofs_too_far_apart_begin_anew(proof: Proof, seconds: Seconds) -> None:
    for pause_s in (1, 1, GAP_S + 0.1, 1):
        seconds.now += pause_s
        proof.given(0)
    assert proof.steady_ms == 1_000


def test_a_pause_just_below_the_gap_is_none(proof: Proof, seconds: Seconds) -> None:
    proof.given(0)
    seconds.now += GAP_S - 0.01
    proof.given(0)
    assert proof.steady_ms == pytest.approx(GAP_S * 1_000 - 10, abs=1)


def test_who_has_proved_nothing_for_too_long_is_not_steady(proof: Proof, seconds: Seconds) -> None:
    for _ in range(2):
        seconds.now += 1
        proof.given(0)
    seconds.now += GAP_S + 0.1
    assert proof.steady_ms == 0
