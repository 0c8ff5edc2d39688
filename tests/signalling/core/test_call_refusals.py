"""Every state × every input × every role and device: a transition, a named refusal, or nothing."""

from collections.abc import Callable

import pytest

from signalling.codes import By, Code, Party, Refused, State
from signalling.core import inputs
from signalling.core.call import step
from signalling.core.model import Call
from tests.signalling.core.calling import DESK, LEG, NOW, OTHER, PHONE, TABLET, WATCH, in_state

CALLER, CALLEE = Party.CALLER, Party.CALLEE
STATES = tuple(State)
STRANGE = "strange"

# One word for each state, in order: the state afterwards; a refusal's code; `same`: the very same
# call and no effects; `takes`: the state stays, something in it changes or is told.
WORDS = {
    "R": State.RINGING,
    "A": State.ACCEPTED,
    "C": State.CONNECTED,
    "X": State.RECONNECTING,
    "E": State.ENDED,
    "wrong": Code.WRONG_STATE,
    "leg": Code.NOT_YOUR_LEG,
    "else": Code.ANSWERED_ELSEWHERE,
}


def reports(make: Callable[[Party, str], inputs.Input]) -> dict[str, inputs.Input]:
    """The input from each side's leg, and from its other devices."""
    return {
        f"{party} {role}": make(party, device)
        for party in Party
        for role, device in (("leg", LEG[party]), ("other", OTHER[party]), ("strange", STRANGE))
    }


# Reports come from legs only, once the call was answered.
REPORTS: tuple[tuple[str, Callable[[Party, str], inputs.Input], str, str], ...] = (
    (
        "connected",
        inputs.MediaConnected,
        "wrong wrong takes same C same",
        "wrong wrong takes same same same",
    ),
    (
        "lost",
        lambda party, device: inputs.MediaLost(party, device, "ice"),
        "wrong wrong same X same same",
        "wrong wrong same X takes same",
    ),
    (
        "stats",
        lambda party, device: inputs.MediaStats(party, device, 9, 1.0, 0.0, 1.0),
        "wrong wrong takes takes takes same",
        "wrong wrong takes takes takes same",
    ),
    (
        "state",
        lambda party, device: inputs.MediaState(party, device, True, True, False),
        "wrong wrong takes takes takes same",
        "wrong wrong takes takes takes same",
    ),
)


def rows() -> list[tuple[str, inputs.Input, str]]:
    made: list[tuple[str, inputs.Input, str]] = [
        # requested ringing accepted connected reconnecting ended
        ("rang leg", inputs.Rang(DESK), "R same wrong wrong wrong same"),
        ("rang other", inputs.Rang(WATCH), "R same else else else same"),
        ("rang strange", inputs.Rang(STRANGE), "R same else else else same"),
        ("accepted leg", inputs.Accepted(DESK), "A A same same same same"),
        ("accepted other", inputs.Accepted(WATCH), "A A else else else same"),
        ("accepted by request", inputs.Accepted(None), "A A else else else same"),
        ("rejected", inputs.Rejected("declined", None), "E E wrong wrong wrong same"),
        ("rejected busy", inputs.Rejected("busy", None), "E E wrong wrong wrong same"),
        ("caller hangs up", inputs.HungUp(CALLER), "E E E E E same"),
        ("callee hangs up", inputs.HungUp(CALLEE), "E E E E E same"),
        ("early timer", inputs.TimerFired(), "same same same same same same"),
        ("funded", inputs.Funded(), "same same same takes same same"),
        ("posted", inputs.ChargePosted(120, 240, 0), "same same same takes takes same"),
        ("refused", inputs.ChargeRefused(), "same same same E E same"),
        ("settled", inputs.Settled(120, 84, 1, 0), "same same same same same takes"),
        ("admin", inputs.Stopped(By.ADMIN), "E E E E E same"),
        ("fault", inputs.Stopped(By.SERVER), "E E E E E same"),
        ("hook connected", inputs.MediaHook("connected"), "wrong wrong C same takes same"),
        ("hook rtp", inputs.MediaHook("rtp"), "wrong wrong takes same same same"),
        ("hook end", inputs.MediaHook("end"), "wrong wrong takes X takes same"),
        ("take caller leg", inputs.Took(CALLER, PHONE), "same same same same same same"),
        ("take caller other", inputs.Took(CALLER, TABLET), "wrong wrong wrong wrong takes same"),
        ("take callee leg", inputs.Took(CALLEE, DESK), "wrong wrong same same same same"),
        ("take callee other", inputs.Took(CALLEE, WATCH), "wrong wrong wrong wrong wrong same"),
    ]
    for name, make, caller_words, callee_words in REPORTS:
        for who, given in reports(make).items():
            party, role = who.split()
            words = caller_words if party == "caller" else callee_words
            made.append(
                (f"{name} {who}", given, words if role == "leg" else "wrong wrong leg leg leg same")
            )
    for who, given in reports(lambda p, d: inputs.Signalled(p, d, "offer", 1, b"{}")).items():
        words = {
            "caller leg": "takes takes takes takes takes same",
            "caller other": "leg leg leg leg leg same",
            "caller strange": "leg leg leg leg leg same",
            # The callee never offers first.
            "callee leg": "wrong wrong wrong wrong wrong same",
            "callee other": "wrong wrong leg leg leg same",
            "callee strange": "wrong wrong leg leg leg same",
        }[who]
        made.append((f"offer {who}", given, words))
    for who, given in reports(inputs.SocketLost).items():
        words = {
            "caller leg": "takes takes takes X same same",
            "callee leg": "same same takes X takes same",
        }.get(who, "same same same same same same")
        made.append((f"socket lost {who}", given, words))
    for who, given in reports(inputs.SocketBack).items():
        words = "same same same same same same"
        if who == "caller leg":
            words = "same same same same takes same"
        made.append((f"socket back {who}", given, words))
    return made


CASES = [
    pytest.param(state, given, word, id=f"{state}: {name}")
    for name, given, words in rows()
    for state, word in zip(STATES, words.split(), strict=True)
]


@pytest.mark.parametrize(("state", "given", "word"), CASES)
def test_each_input_in_each_state(state: State, given: inputs.Input, word: str) -> None:
    call = in_state(state)
    wanted = WORDS.get(word)
    if isinstance(wanted, Code):
        assert refusal(call, given) is wanted
        assert call == in_state(state)
        return
    after, effects = step(call, given, NOW)
    if word == "same":
        assert after == call
        assert effects == []
        return
    assert after.state is (state if wanted is None else wanted)
    assert after != call or effects != []
    if wanted is not None:
        assert after.rev > call.rev


def refusal(call: Call, given: inputs.Input) -> Code:
    with pytest.raises(Refused) as caught:
        step(call, given, NOW)
    assert caught.value.message
    return caught.value.code


@pytest.mark.parametrize("state", STATES)
def test_an_input_that_changes_nothing_gives_the_very_same_call_back(state: State) -> None:
    call = in_state(state)
    assert step(call, inputs.SocketLost(CALLEE, WATCH), NOW)[0] is call
    assert step(call, inputs.SocketBack(CALLER, TABLET), NOW)[0] is call
