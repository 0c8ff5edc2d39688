"""What the document shows of calls is what the routes answer."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rest.operators.call_bodies import CallAnswer, CallList, TimelineAnswer
from rest.operators.call_examples import DETAIL, LIST, TIMELINE
from signalling.events import Shape


@pytest.mark.parametrize(
    ("example", "shape"), [(LIST, CallList), (DETAIL, CallAnswer), (TIMELINE, TimelineAnswer)]
)
def test_an_example_has_all_of_its_shape_and_nothing_else(
    example: dict[str, Any], shape: type[Shape]
) -> None:
    decoded = msgspec.convert(example, shape)
    assert set(msgspec.to_builtins(decoded)) == set(example)


def test_its_timeline_is_in_order() -> None:
    moments = [each["at"].removesuffix("Z") for each in TIMELINE["items"]]  # type: ignore[attr-defined]
    assert moments == sorted(moments)
