from typing import Literal

import pytest

from signalling.codes import Code, Party, Refused
from signalling.core.inputs import Signalled
from signalling.core.negotiation import (
    Negotiation,
    Verdict,
    is_relay,
    judge,
    keep,
    relay_only_sdp,
    release,
)
from tests.signalling.core.calling import LEG

CALLER, CALLEE = Party.CALLER, Party.CALLEE
Kind = Literal["offer", "answer", "candidates", "end"]


def signal(party: Party, kind: Kind, gen: int, data: bytes = b"{}") -> Signalled:
    return Signalled(party, LEG[party], kind, gen, data)


def offered(party: Party = CALLER, gen: int = 1) -> Negotiation:
    talk = Negotiation(gen=gen - 1, offerer=CALLER, answered=True) if gen > 1 else Negotiation()
    talk, verdict = judge(talk, signal(party, "offer", gen))
    assert verdict is Verdict.RELAY
    return talk


def refused(talk: Negotiation, given: Signalled) -> tuple[Code, str | None]:
    with pytest.raises(Refused) as caught:
        judge(talk, given)
    return caught.value.code, caught.value.field


def test_the_caller_offers_first() -> None:
    assert refused(Negotiation(), signal(CALLEE, "offer", 1)) == (Code.WRONG_STATE, "data.kind")
    assert offered().offerer is CALLER


@pytest.mark.parametrize("gen", [2, 3, 9])
def test_the_first_offer_is_generation_1(gen: int) -> None:
    given = signal(CALLER, "offer", gen)
    assert refused(Negotiation(), given) == (Code.BAD_FRAME, "data.gen")


def test_an_offer_that_comes_twice_goes_on_once() -> None:
    talk = offered()
    assert judge(talk, signal(CALLER, "offer", 1)) == (talk, Verdict.STALE)


def test_an_answer_is_the_other_legs_and_counts_once() -> None:
    talk = offered()
    code = refused(talk, signal(CALLER, "answer", 1))
    assert code == (Code.WRONG_STATE, "data.kind")
    answered, verdict = judge(talk, signal(CALLEE, "answer", 1))
    assert (answered.answered, verdict) == (True, Verdict.RELAY)
    assert judge(answered, signal(CALLEE, "answer", 1)) == (answered, Verdict.STALE)


@pytest.mark.parametrize("kind", ["answer", "candidates", "end"])
def test_a_generation_that_nobody_offered_is_a_bad_frame(kind: Kind) -> None:
    assert refused(offered(), signal(CALLEE, kind, 2)) == (Code.BAD_FRAME, "data.gen")


@pytest.mark.parametrize("kind", ["answer", "candidates", "end"])
def test_what_belongs_to_an_older_generation_is_dropped(kind: Kind) -> None:
    talk = offered(gen=2)
    assert judge(talk, signal(CALLEE, kind, 1)) == (talk, Verdict.STALE)


@pytest.mark.parametrize("party", list(Party))
@pytest.mark.parametrize("kind", ["candidates", "end"])
def test_candidates_of_both_legs_go_on(party: Party, kind: Kind) -> None:
    talk = offered()
    assert judge(talk, signal(party, kind, 1)) == (talk, Verdict.RELAY)


@pytest.mark.parametrize("party", list(Party))
def test_either_leg_may_offer_again(party: Party) -> None:
    talk, verdict = judge(offered(), signal(party, "offer", 2))
    assert (talk.gen, talk.offerer, talk.answered) == (2, party, False)
    assert verdict is Verdict.RELAY


def test_where_offers_cross_the_callers_wins() -> None:
    first = offered(CALLER, gen=2)
    assert judge(first, signal(CALLEE, "offer", 2)) == (first, Verdict.SUPERSEDED)
    second, verdict = judge(offered(CALLEE, gen=2), signal(CALLER, "offer", 2))
    assert (second.gen, second.offerer, verdict) == (2, CALLER, Verdict.RELAY)
    # The callee's answer is for the caller's offer now.
    _, verdict = judge(second, signal(CALLEE, "answer", 2))
    assert verdict is Verdict.RELAY


def test_an_answered_offer_is_not_crossed() -> None:
    talk, _ = judge(offered(CALLEE, gen=2), signal(CALLER, "answer", 2))
    assert judge(talk, signal(CALLER, "offer", 2)) == (talk, Verdict.STALE)


def test_early_signals_wait_in_order_and_are_released_once() -> None:
    talk = Negotiation()
    given = [signal(CALLER, "offer", 1, b"12345"), signal(CALLER, "candidates", 1, b"678")]
    for one in given:
        talk = keep(talk, one, signals_max=2, bytes_max=8)
    assert talk.early_bytes == 8
    after, early = release(talk)
    assert early == tuple(given)
    assert (after.early, after.early_bytes) == ((), 0)
    assert release(after)[1] == ()


@pytest.mark.parametrize(("signals_max", "bytes_max"), [(1, 99), (9, 7)])
def test_more_early_signals_than_may_wait_are_refused(signals_max: int, bytes_max: int) -> None:
    talk = keep(Negotiation(), signal(CALLER, "offer", 1, b"12345"), signals_max=1, bytes_max=5)
    with pytest.raises(Refused) as caught:
        keep(
            talk,
            signal(CALLER, "end", 1, b"678"),
            signals_max=signals_max,
            bytes_max=bytes_max,
        )
    assert caught.value.code is Code.TOO_LARGE


def test_a_newer_offer_clears_what_waited_before_it() -> None:
    talk = keep(Negotiation(), signal(CALLER, "offer", 1, b"12345"), signals_max=1, bytes_max=5)
    newer = signal(CALLER, "offer", 2, b"1234")
    talk = keep(talk, newer, signals_max=1, bytes_max=5)
    assert (talk.early, talk.early_bytes) == ((newer,), 4)


def test_a_relay_only_description_names_no_address_of_the_sender() -> None:
    sdp = "\r\n".join(
        [
            "v=0",
            "o=- 42 2 IN IP4 192.0.2.7",
            "c=IN IP6 2001:db8::7",
            "a=rtcp:5000 IN IP4 192.0.2.7",
            "a=candidate:1 1 udp 2 192.0.2.7 5000 typ host",
            "a=candidate:2 1 udp 1 198.51.100.1 3478 typ relay",
            "a=mid:0",
        ]
    )
    kept = relay_only_sdp(sdp)
    assert "192.0.2.7" not in kept
    assert "2001:db8" not in kept
    assert "typ relay" in kept
    assert kept.startswith("v=0\r\no=- 42 2 IN IP4 127.0.0.1\r\n")
    assert kept.endswith("a=mid:0\r\n")
    assert relay_only_sdp(sdp.replace("\r\n", "\n")) == kept


def test_only_relay_candidates_and_the_end_mark_are_relays() -> None:
    assert is_relay("candidate:2 1 udp 1 198.51.100.1 3478 typ relay")
    assert is_relay("")
    assert not is_relay("candidate:1 1 udp 2 192.0.2.7 5000 typ host")
    assert not is_relay("candidate:1 1 udp 2 192.0.2.7 5000 typ host ufrag typ relay")


@pytest.mark.parametrize("party", [CALLER, CALLEE])
def test_after_a_lost_negotiation_any_offer_says_where_the_legs_are(party: Party) -> None:
    talk, verdict = judge(Negotiation(unknown=True), signal(party, "offer", 7))
    assert verdict is Verdict.RELAY
    assert talk == Negotiation(gen=7, offerer=party)
    assert judge(talk, signal(party.other, "answer", 7))[1] is Verdict.RELAY


@pytest.mark.parametrize("kind", ["answer", "candidates", "end"])
def test_until_then_all_else_is_passed_on(kind: Kind) -> None:
    talk, verdict = judge(Negotiation(unknown=True), signal(CALLEE, kind, 3))
    assert (talk, verdict) == (Negotiation(unknown=True), Verdict.RELAY)
