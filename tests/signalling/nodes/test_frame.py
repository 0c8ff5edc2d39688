"""Parcels as texts."""

from __future__ import annotations

import pytest

from signalling.nodes.frame import (
    FRAME_BYTES,
    PARCEL_BYTES_MAX,
    PART_BYTES,
    PARTS_MAX,
    Frame,
    Item,
    decode,
    encode,
    split,
)
from storage.parcels import TEXT_MAX

LARGEST = (1 << 63) - 1


def test_a_frame_comes_back_as_it_was() -> None:
    items = [Item(7, 3, 0, 1, bytes(range(256))), Item(8, 7, 0, 0, b"")]
    frame = Frame("west.1", True, False, 8, items)
    assert decode(encode(frame)) == frame
    assert encode(frame).isascii()


def test_the_largest_frames_fit_in_a_notification() -> None:
    name = "n" * 63 + f".{LARGEST}"
    empty = Item(LARGEST, LARGEST, PARTS_MAX, PARTS_MAX, b"")
    for items in (
        [empty] * (FRAME_BYTES // empty.size_bytes),
        split(LARGEST, LARGEST, b"x" * PART_BYTES),
    ):
        assert sum(item.size_bytes for item in items) <= FRAME_BYTES
        assert len(encode(Frame(name, True, True, LARGEST, items))) <= TEXT_MAX


def test_a_parcel_is_split_into_parts_that_make_it_whole() -> None:
    for size in (0, 1, PART_BYTES, PART_BYTES + 1, PARCEL_BYTES_MAX):
        parcel = bytes(index % 251 for index in range(size))
        items = split(5, 4, parcel)
        assert b"".join(item.data for item in items) == parcel
        assert [item.part for item in items] == list(range(items[0].parts))
        assert [item.completes for item in items] == [False] * (len(items) - 1) + [True]
        assert {(item.n, item.prev) for item in items} == {(5, 4)}
        assert len(items) <= PARTS_MAX


@pytest.mark.parametrize("text", ["", "rubbish!", "YWJj", "kA=="])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a frame"):
        decode(text)
