from __future__ import annotations

import msgspec
from msgspec import UNSET, UnsetType

from rest.http.reply import Done, encode_reply, reply
from signalling.events import Shape


class Two(Shape, frozen=True):
    first_word: str
    left_out: int | UnsetType = UNSET


def test_the_fields_stand_beside_success() -> None:
    assert encode_reply(Two(first_word="a")) == b'{"success":true,"firstWord":"a"}'


def test_a_shape_without_fields_is_success_alone() -> None:
    assert encode_reply(Done()) == b'{"success":true}'


def test_an_answer_is_json_and_kept_by_no_cache() -> None:
    answer = reply(Two(first_word="ü", left_out=1), 201)
    assert answer.status == 201
    assert answer.content_type == "application/json"
    assert answer.headers["Cache-Control"] == "no-store"
    assert isinstance(answer.body, bytes)
    assert msgspec.json.decode(answer.body) == {"success": True, "firstWord": "ü", "leftOut": 1}
