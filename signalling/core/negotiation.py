"""Who may send which signal when: generations, crossing offers, early signals kept for the winner.

Every offer is one generation above the last; answers and candidates name the one they belong to.
Where offers cross, the caller's wins (the callee is the polite peer of W3C perfect negotiation).
"""

from enum import Enum

import msgspec

from signalling.codes import Code, Party, Refused
from signalling.core.inputs import Signalled


class Verdict(Enum):
    RELAY = "relay"
    STALE = "stale"
    SUPERSEDED = "superseded"


class Negotiation(msgspec.Struct, frozen=True):
    """`gen` 0 means that nobody has offered yet. `early` holds what came before the answer.

    `unknown`: what was negotiated so far is lost; the next offer says where the legs are.
    """

    gen: int = 0
    offerer: Party | None = None
    answered: bool = False
    early: tuple[Signalled, ...] = ()
    early_bytes: int = 0
    unknown: bool = False


def judge(talk: Negotiation, given: Signalled) -> tuple[Negotiation, Verdict]:
    """Whether a signal of a leg goes on to the other leg.

    Raises:
        Refused: bad_frame, for a generation that cannot be, naming `data.gen`; wrong_state, for an
            answer that nobody waits for.
    """
    if given.kind == "offer":
        return _judge_offer(talk, given)
    if talk.unknown:
        return talk, Verdict.RELAY
    if given.gen > talk.gen:
        raise Refused(
            Code.BAD_FRAME,
            f"Generation {given.gen} has no offer yet; the newest is {talk.gen}.",
            field="data.gen",
        )
    if given.gen < talk.gen:
        return talk, Verdict.STALE
    if given.kind != "answer":
        return talk, Verdict.RELAY
    if given.party is talk.offerer:
        raise Refused(Code.WRONG_STATE, "An offer is answered by the other leg.", field="data.kind")
    if talk.answered:
        return talk, Verdict.STALE
    return msgspec.structs.replace(talk, answered=True), Verdict.RELAY


def _judge_offer(talk: Negotiation, given: Signalled) -> tuple[Negotiation, Verdict]:
    if talk.unknown:
        return Negotiation(gen=given.gen, offerer=given.party), Verdict.RELAY
    if talk.gen == 0 and given.party is Party.CALLEE:
        raise Refused(Code.WRONG_STATE, "The caller offers first.", field="data.kind")
    crossing = given.gen == talk.gen and not talk.answered and given.party is not talk.offerer
    if crossing and given.party is Party.CALLEE:
        return talk, Verdict.SUPERSEDED
    if given.gen != talk.gen + 1 and not crossing:
        if 0 < given.gen <= talk.gen:
            return talk, Verdict.STALE
        raise Refused(
            Code.BAD_FRAME, f"The next offer is generation {talk.gen + 1}.", field="data.gen"
        )
    return (
        msgspec.structs.replace(talk, gen=given.gen, offerer=given.party, answered=False),
        Verdict.RELAY,
    )


def keep(talk: Negotiation, given: Signalled, *, signals_max: int, bytes_max: int) -> Negotiation:
    """Remember a caller's signal until somebody answers; a newer offer clears older signals.

    Raises:
        Refused: too_large, when the caller has sent more than may wait.
    """
    early = () if given.kind == "offer" else talk.early
    size = (0 if given.kind == "offer" else talk.early_bytes) + len(given.data)
    if len(early) >= signals_max or size > bytes_max:
        raise Refused(
            Code.TOO_LARGE,
            f"At most {signals_max} signals and {bytes_max} bytes wait for the answer.",
            field="data",
        )
    return msgspec.structs.replace(talk, early=(*early, given), early_bytes=size)


def release(talk: Negotiation) -> tuple[Negotiation, tuple[Signalled, ...]]:
    """The waiting signals, in order, and the negotiation without them."""
    return msgspec.structs.replace(talk, early=(), early_bytes=0), talk.early


def relay_only_sdp(sdp: str) -> str:
    """The SDP without any address of the sender: relay candidates only, none in c= and o=."""
    kept = []
    for line in sdp.splitlines():
        if line.startswith("a=candidate:") and not is_relay(line.removeprefix("a=")):
            continue
        if line.startswith("c=IN "):
            line = "c=IN IP4 0.0.0.0"
        elif line.startswith("o="):
            parts = line.split(" ")
            if len(parts) == 6:
                line = " ".join([*parts[:3], "IN", "IP4", "127.0.0.1"])
        elif line.startswith("a=rtcp:"):
            line = "a=rtcp:9 IN IP4 0.0.0.0"
        kept.append(line)
    return "\r\n".join(kept) + "\r\n"


def is_relay(candidate: str) -> bool:
    """Whether a candidate line (RFC 8839 §5.1) is of type relay; the empty one ends a list."""
    parts = candidate.split()
    return parts == [] or parts[6:8] == ["typ", "relay"]
