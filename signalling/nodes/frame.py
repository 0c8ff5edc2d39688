"""What goes by NOTIFY: parcels for one node, or a part of a large one, as one short text."""

import binascii
from base64 import b64decode, b64encode

import msgspec

# With the head and in base64 below what PostgreSQL takes.
FRAME_BYTES = 5_800
ITEM_BYTES = 32
PART_BYTES = FRAME_BYTES - 2 * ITEM_BYTES
PARCEL_BYTES_MAX = 256 << 10
PARTS_MAX = -(-PARCEL_BYTES_MAX // PART_BYTES)


class Item(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A part of the parcel with number `n`; `prev` is the one before it for the same node.

    Without `parts` it says that what follows goes by Redis again.
    """

    n: int
    prev: int
    part: int
    parts: int
    data: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.data) + ITEM_BYTES

    @property
    def completes(self) -> bool:
        """Whether a parcel is whole with it."""
        return self.part == self.parts - 1


class Frame(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`deaf`: Redis does not reach the sender. `you_deaf`: the sender knows that of the receiver,
    and sends it all by this way. `last`: the number of the last parcel for the receiver, 0 if
    more are to follow."""

    sender: str
    deaf: bool
    you_deaf: bool
    last: int
    items: list[Item]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Frame).decode


def encode(frame: Frame) -> str:
    return b64encode(_encode(frame)).decode("ascii")


def decode(text: str) -> Frame:
    """
    Raises:
        ValueError: it is none of ours.
    """
    try:
        return _decode(b64decode(text, validate=True))
    except (binascii.Error, msgspec.DecodeError) as error:
        raise ValueError("not a frame") from error


def split(n: int, prev: int, parcel: bytes) -> list[Item]:
    """The items of a parcel of at most PARCEL_BYTES_MAX."""
    starts = range(0, len(parcel) or 1, PART_BYTES)
    return [
        Item(n, prev, part, len(starts), parcel[start : start + PART_BYTES])
        for part, start in enumerate(starts)
    ]
