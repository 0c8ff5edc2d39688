"""Examples decode into the shapes they are examples of."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import UNSET, Meta, UnsetType

from signalling.commands import DATA, Command
from signalling.events import EVENTS, Event
from signalling.examples import HINTS, example_of


class Inner(msgspec.Struct, frozen=True):
    day: date
    at: datetime


class Everything(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """One field of every kind, none of them with a hint."""

    few: Annotated[int, Meta(ge=0, le=3)]
    many: Annotated[int, Meta(ge=40)]
    ends_at: int
    share: float
    yes: bool
    word: Annotated[str, Meta(min_length=10, max_length=12)]
    choice: Literal["a", "b"]
    who: UUID
    inner: Inner
    inners: Annotated[list[Inner], Meta(max_length=3)]
    maybe: int | None = None
    unset: Inner | UnsetType = UNSET
    some: Annotated[list[int], Meta(max_length=2)] | UnsetType = UNSET
    raw: msgspec.Raw = msgspec.Raw(b"{}")
    bag: dict[str, Any] = {}


def test_every_kind_of_field_gets_a_value_that_decodes() -> None:
    example = example_of(Everything)
    assert set(example) == {field.encode_name for field in msgspec.structs.fields(Everything)}
    decoded = msgspec.json.decode(msgspec.json.encode(example), type=Everything)
    assert (decoded.few, decoded.many, decoded.maybe) == (1, 40, 1)
    assert decoded.word.startswith("word")


def test_without_the_rest_only_what_must_be_there_stands_in_it() -> None:
    example = example_of(Everything, full=False)
    assert "maybe" not in example
    assert "bag" not in example
    msgspec.json.decode(msgspec.json.encode(example), type=Everything)


def test_a_hint_stands_only_where_the_type_takes_it() -> None:
    class Hinted(msgspec.Struct):
        name: str
        score: Annotated[int, Meta(le=3)]

    example = example_of(Hinted)
    assert example["name"] == HINTS["name"]
    assert example["score"] == 1


@pytest.mark.parametrize("shape", EVENTS, ids=lambda shape: shape.TYPE)
def test_examples_of_all_events_decode(shape: type[Event]) -> None:
    msgspec.json.decode(msgspec.json.encode(example_of(shape)), type=shape)


@pytest.mark.parametrize("shape", DATA.values(), ids=DATA.keys())
def test_examples_of_all_commands_decode(shape: type[Command]) -> None:
    for full in (True, False):
        msgspec.json.decode(msgspec.json.encode(example_of(shape, full=full)), type=shape)
