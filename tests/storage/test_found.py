from __future__ import annotations

from storage.found import where


def test_what_is_not_asked_for_is_no_condition() -> None:
    assert where(3) == ("", [])
    assert where(3, actor=None, action=None) == ("", [])


def test_conditions_are_numbered_from_the_first_in_their_order() -> None:
    assert where(3, actor="a", action=None, target_id=0) == (
        "where actor = $3 and target_id = $4",
        ["a", 0],
    )
