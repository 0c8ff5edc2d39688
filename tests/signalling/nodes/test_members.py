"""Who is there, from lists that may come late or be short."""

from __future__ import annotations

from signalling.nodes.members import DEPARTED_MAX, Members


def test_lists_make_nodes_join_and_leave() -> None:
    members = Members()
    assert members.update({"east": True, "west": False}, 0.0, 0.1) == (["east", "west"], [])
    assert members.peers() == frozenset({"east", "west"})
    assert members.successors() == ("east",)
    assert members.update({"west": True}, 1.0, 1.1) == ([], ["east"])
    assert members.successors() == ("west",)
    assert members.update({"east": True, "west": True}, 2.0, 2.1) == (["east"], [])


def test_after_an_outage_those_missing_are_spared_for_a_while_but_take_no_calls() -> None:
    members = Members()
    members.update({"east": True}, 0.0, 0.1)
    members.spare_until(5.0)
    assert members.update({}, 4.0, 4.9) == ([], [])
    assert members.peers() == frozenset({"east"})
    assert members.successors() == ()
    assert members.update({}, 4.9, 5.0) == ([], ["east"])


def test_one_who_comes_back_while_spared_has_neither_left_nor_joined() -> None:
    members = Members()
    members.update({"east": True}, 0.0, 0.1)
    members.spare_until(5.0)
    members.update({}, 4.0, 4.1)
    assert members.update({"east": True}, 4.5, 4.6) == ([], [])
    assert members.successors() == ("east",)


def test_one_who_sends_something_before_any_list_has_it_has_joined() -> None:
    members = Members()
    assert members.met("east", 1.5)
    assert not members.met("east", 1.6)
    assert members.successors() == ()
    # The list was asked for before, and knows nothing of it yet.
    assert members.update({}, 1.4, 1.7) == ([], [])
    assert members.update({"east": True}, 2.0, 2.1) == ([], [])
    assert members.successors() == ("east",)
    assert members.update({}, 3.0, 3.1) == ([], ["east"])


def test_one_who_was_met_and_is_in_no_later_list_has_left() -> None:
    members = Members()
    members.met("east", 1.5)
    assert members.update({}, 1.6, 1.7) == ([], ["east"])


def test_what_comes_late_from_one_who_has_left_does_not_bring_it_back() -> None:
    members = Members()
    members.update({"east": True}, 0.0, 0.1)
    members.update({}, 1.0, 1.1)
    assert not members.met("east", 1.2)
    assert members.peers() == frozenset()
    assert members.update({"east": True}, 2.0, 2.1) == (["east"], [])
    members.update({}, 3.0, 3.1)
    members.update({str(number): True for number in range(DEPARTED_MAX)}, 4.0, 4.1)
    members.update({}, 5.0, 5.1)
    assert members.met("east", 6.0)  # So long ago that it is forgotten.
