"""What the operator's own media server has seen. It counts for both legs at once."""

from msgspec.structs import replace

from signalling.codes import Code, Refused, State
from signalling.core import talking
from signalling.core.effects import Effect
from signalling.core.model import Call, leg_of


def seen(call: Call, kind: str, now_ms: int) -> tuple[Call, list[Effect]]:
    """`connected` stands for both legs' reports, `rtp` is fresh proof, `end` takes media away.

    A leg whose socket is missing stays missing: nobody is billed who cannot be told of it.

    Raises:
        Refused: wrong_state, nobody has answered yet.
    """
    if call.accepted_ms is None:
        raise Refused(Code.WRONG_STATE, f"The call is {call.state}, not answered yet.")
    if kind == "end":
        return gone(call, now_ms)
    call = talking.proved(call, now_ms)
    # Where only proof was missing, proof is enough.
    if kind == "connected" or call.why == "silent":
        return flows(call, now_ms)
    return call, []


def flows(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    effects: list[Effect] = []
    for party in talking.BOTH:
        leg = replace(leg_of(call, party), media=True)
        call = call.with_leg(party, leg)
        if call.state is State.RECONNECTING and (leg.here or not leg.socket):
            call, more = talking.back(call, party, now_ms)
            effects += more
    if call.state is State.ACCEPTED:
        return talking.answered(call, now_ms)
    return call, effects


def gone(call: Call, now_ms: int) -> tuple[Call, list[Effect]]:
    """Both legs must come back; counters that still grow for a moment do not bring them back."""
    effects: list[Effect] = []
    call = replace(call, why="hook")
    for party in talking.BOTH:
        call = call.with_leg(party, replace(leg_of(call, party), media=False))
        if call.state in (State.CONNECTED, State.RECONNECTING):
            call, more = talking.interrupt(call, party, "hook", now_ms)
            effects += more
    return call, effects
