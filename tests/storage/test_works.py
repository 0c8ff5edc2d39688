"""Which accounts a work changes: those are locked before it is written."""

from uuid import UUID

import msgspec

from storage.works import Note, Settle, accounts_of

CALL = UUID(int=1)
SETTLE = Settle(
    call_id=CALL,
    payer=1,
    payee=2,
    platform=3,
    target_minor=0,
    earned_minor=0,
    billable_ms=0,
    talk_ms=0,
    units=0,
    reason="hangup",
    ended_by="caller",
    ended_ms=0,
)


def test_money_moves_between_payer_payee_and_platform() -> None:
    assert sorted(accounts_of(SETTLE)) == [1, 2, 3]


def test_bonus_money_is_an_account_of_its_own() -> None:
    assert sorted(accounts_of(msgspec.structs.replace(SETTLE, bonus=4))) == [1, 2, 3, 4]


def test_without_a_payee_all_goes_to_the_platform() -> None:
    assert accounts_of(msgspec.structs.replace(SETTLE, payee=None)) == (1, 3)


def test_a_note_touches_no_money() -> None:
    note = Note(call_id=CALL, state="ringing", ringing_ms=1, accepted_ms=None, callee_device=None)
    assert accounts_of(note) == ()
