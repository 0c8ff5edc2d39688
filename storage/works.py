"""What a call asks of the database, and what it hears back: the structs of the combiner.

Amounts are minor units, cumulative since the call began unless said otherwise; `_ms` moments are
the node clock's Unix milliseconds. `payer`, `bonus`, `payee` and `platform` are account ids:
`bonus` is the payer's bonus money, spent first, or None; `payee` is None when nobody but the
platform earns. The order of the fields is the order of the parameters of the statements in
`storage/meters.py` and `storage/calls.py`.
"""

from uuid import UUID

import msgspec

from storage.errors import Refusal


class Work(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Base of everything that can be put into the combiner."""

    call_id: UUID


class Authorise(Work, frozen=True, gc=False, kw_only=True):
    """Call row, meter, both users' slots and the first hold, together or not at all.

    `tariff` is JSON. Answers: Authorised, Known, SlotTaken, Short.
    """

    caller_id: UUID
    callee_id: UUID
    caller_device: str
    request_id: str | None
    kind: str
    connect_on: str
    note: str | None
    tariff: bytes
    hold_minor: int
    payer: int
    bonus: int | None = None
    payee: int | None
    platform: int
    created_ms: int


class Record(Work, frozen=True, gc=False, kw_only=True):
    """A call that ended before it could ring: an ended call row, no meter, no slots.

    Answer: Recorded, also when the call was stored before.
    """

    caller_id: UUID
    callee_id: UUID
    caller_device: str
    request_id: str | None
    kind: str
    connect_on: str
    note: str | None
    tariff: bytes
    reason: str
    ended_by: str
    created_ms: int


class Note(Work, frozen=True, gc=False, kw_only=True):
    """Write the state of a live call down; a None leaves what is stored. Answer: Noted."""

    state: str
    ringing_ms: int | None = None
    accepted_ms: int | None = None
    callee_device: str | None = None


class NoteLegs(Work, frozen=True, gc=False, kw_only=True):
    """Write down which devices are the legs of a live call now. Answer: Noted."""

    caller_device: str | None
    callee_device: str | None


class Charge(Work, frozen=True, gc=False, kw_only=True):
    """Post up to `target_minor` out of the hold, then hold up to `cover_minor`.

    `earned_minor` is the payee's part of the target. `billable_ms` had been talked at `asof_ms`,
    and runs on from there if `running`. If not all of the cover can be held, whole multiples of
    `quantum_minor` are. `connected_ms` sets the call row's moment of connection, and with it
    `state` and the last three fields; without it the call row is not touched. Answer: Charged.
    """

    payer: int
    bonus: int | None = None
    payee: int | None
    platform: int
    target_minor: int
    earned_minor: int
    billable_ms: int
    asof_ms: int
    running: bool
    cover_minor: int
    quantum_minor: int
    connected_ms: int | None
    state: str
    units: int
    ringing_ms: int | None = None
    accepted_ms: int | None = None
    callee_device: str | None = None


class Settle(Work, frozen=True, gc=False, kw_only=True):
    """Close the books: post up to the target out of the hold, free the rest, end the call row.

    `rev` is the call's last revision, None when nobody knows it.
    Answer: Settled; the first settlement of a call stands, later ones are told its figures.
    """

    payer: int
    bonus: int | None = None
    payee: int | None
    platform: int
    target_minor: int
    earned_minor: int
    billable_ms: int
    talk_ms: int
    units: int
    reason: str
    ended_by: str
    ended_ms: int
    ringing_ms: int | None = None
    accepted_ms: int | None = None
    connected_ms: int | None = None
    callee_device: str | None = None
    rev: int | None = None


def undoing(work: Authorise, now_ms: int) -> Settle:
    """The end of a call that was opened when nobody waited for it any more."""
    return Settle(
        call_id=work.call_id,
        payer=work.payer,
        bonus=work.bonus,
        payee=work.payee,
        platform=work.platform,
        target_minor=0,
        earned_minor=0,
        billable_ms=0,
        talk_ms=0,
        units=0,
        reason="server_error",
        ended_by="server",
        ended_ms=now_ms,
    )


class HandOver(Work, frozen=True, gc=False, kw_only=True):
    """Leave a live call, with its whole `state`, for another node. The last work of a call here.

    `now_ms` is this node's clock as the state knows it. Answer: HandedOver.
    """

    now_ms: int
    state: bytes


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """Base of all answers. `available_minor` is what the payer may spend afterwards, of both."""


class Authorised(Outcome, frozen=True, gc=False):
    available_minor: int


class SlotTaken(Outcome, frozen=True, gc=False):
    """`user_id` (the caller, if both) is in the live call `call_id`."""

    user_id: UUID
    call_id: UUID


class Short(Outcome, frozen=True, gc=False):
    required_minor: int
    available_minor: int


class Known(Outcome, frozen=True, gc=False):
    """The same request, or another call of the same id, is stored already."""

    call_id: UUID


class Charged(Outcome, frozen=True, gc=False):
    """The meter's true figures. `refused`: the target was beyond what is charged and held, or the
    meter is not this node's, or not open; then nothing was changed."""

    charged_minor: int
    earned_minor: int
    hold_minor: int
    available_minor: int
    refused: bool = False


class Settled(Outcome, frozen=True, gc=False):
    """`first`: this very settlement closed the books. `found`: there was a meter at all."""

    first: bool
    charged_minor: int
    earned_minor: int
    billable_ms: int
    units: int
    available_minor: int
    found: bool = True


class Noted(Outcome, frozen=True, gc=False):
    pass


class Recorded(Outcome, frozen=True, gc=False):
    pass


class HandedOver(Outcome, frozen=True, gc=False):
    """`left` is false when the call was not this node's any more."""

    left: bool


class Failed(Outcome, frozen=True, gc=False):
    """Unavailable: too late (an Authorise), or stopping. Fenced: see there. Any other refusal: this
    one item cannot be written as it is."""

    error: Refusal


def accounts_of(work: Work) -> tuple[int, ...]:
    """The accounts a work changes."""
    named: tuple[int | None, ...]
    match work:
        case Authorise():
            named = (work.payer, work.bonus)
        case Charge() | Settle():
            named = (work.payer, work.platform, work.bonus, work.payee)
        case _:
            return ()
    return tuple(account for account in named if account is not None)
