"""What nodes say to each other: small structs as msgpack, told apart by a tag.

A parcel about a call carries its owner's `claim`, which grows with every owner: a node that has
heard of a newer one takes nothing more from the old one, whatever that believes itself.
"""

from typing import Literal
from uuid import UUID

import msgspec

from signalling.codes import Code, Refused


class Parcel(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Base of all parcels."""


# -- to the devices of a user


class Telling(Parcel, frozen=True):
    """An event for the user's devices on that node: all, `only` one or all `but` one.

    `re` is (device, command id), as in `Fanout.to_user`; `call` and `claim` are those of its call.
    """

    user_id: UUID
    head: bytes
    tail: bytes
    only: str | None = None
    but: str | None = None
    re: tuple[str, str] | None = None
    call: UUID | None = None
    claim: int = 0


class InCall(Parcel, frozen=True):
    """A device is, or is no longer, a leg of a live call."""

    user_id: UUID
    device: str
    in_call: bool


class Replaced(Parcel, frozen=True):
    """The device has a socket on the sending node, whose hello came at `at_ms` by the database's
    clock: older ones are to go."""

    user_id: UUID
    device: str
    at_ms: int


class SessionEnded(Parcel, frozen=True):
    """A login was revoked: its sockets are to be closed."""

    session_id: UUID


class Present(Parcel, frozen=True):
    """What a provider with sockets on the sending node is; None when there is none any more."""

    user_id: UUID
    presence: str | None
    message: str | None = None


class Word(Parcel, frozen=True):
    """What a provider has just set by hand, for the nodes that have sockets of theirs."""

    user_id: UUID
    availability: str
    message: str | None


class WhoIsPresent(Parcel, frozen=True):
    """Please tell all that you know of providers with sockets on your node."""


# -- between the owner of a call and the nodes that have its parties' devices


class Owns(Parcel, frozen=True):
    """The sending node owns this call. `fresh`: it does not know what the legs have reported."""

    call: UUID
    users: tuple[UUID, UUID]
    claim: int
    fresh: bool = False


class Over(Parcel, frozen=True):
    """The call is over and its books are closed."""

    call: UUID
    claim: int


class Missed(Parcel, frozen=True):
    """Events of the call between these two may have been lost on the way: their devices must ask
    anew. Not if it comes from an earlier owner of the call."""

    call: UUID
    users: tuple[UUID, UUID]
    claim: int


class Handed(Parcel, frozen=True):
    """These calls wait in the database to be taken over by the node that gets this."""

    calls: tuple[UUID, ...]


class Commanded(Parcel, frozen=True):
    """A frame of a device, for the owner of its call. `frame` is JSON, as it came."""

    user_id: UUID
    device: str
    frame: bytes


class Answered(Parcel, frozen=True):
    """The answer to a command; `code` of an error. `not_here`: the call has another owner.

    `re` is None for the refusal of a command without an id.
    """

    user_id: UUID
    device: str
    re: str | None
    answer: bytes
    code: str | None = None
    not_here: UUID | None = None


News = Literal["back", "lost", "bye", "moving"]


class SocketNews(Parcel, frozen=True):
    """What has become of the socket of a device of a party. `moving`: its node is going away."""

    user_id: UUID
    device: str
    call: UUID
    news: News


class Funded(Parcel, frozen=True):
    """Money came into the wallet of a user in a call; `bonus` is the account of bonus money."""

    user_id: UUID
    bonus: int | None


# -- questions, which are answered


class Asked(Parcel, frozen=True):
    """`question` is one of the structs below; `number` is the asker's."""

    number: int
    question: bytes


class Told(Parcel, frozen=True):
    number: int
    answer: bytes


class Declined(Parcel, frozen=True):
    """The question was refused, as `Refused` says."""

    number: int
    refusal: bytes


class Question(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """About a live call that the asked node should own. `user_id` is who asks."""

    call: UUID
    user_id: UUID


class Attach(Question, frozen=True):
    """A device of the user is connecting here: the call as it sees it, and all that follows."""

    device: str


class Join(Question, frozen=True):
    """Glare: the user calls `caller`, who calls them, which answers that call. `device`: if by
    socket."""

    caller: UUID
    device: str | None
    video: bool
    re: str | None


class Look(Question, frozen=True):
    """The call as the user, or one of their devices, sees it."""

    device: str | None = None


class Accept(Question, frozen=True):
    audio: bool
    video: bool


class Reject(Question, frozen=True):
    reason: Literal["declined", "busy", "away"]
    note: str | None


class End(Question, frozen=True):
    """Hang up, and tell what the call came to."""


class Stop(Question, frozen=True):
    """The operator ends the call."""


class Hook(Question, frozen=True):
    """What a media server has seen."""

    kind: Literal["connected", "rtp", "end"]


class Survey(msgspec.Struct, frozen=True, array_like=True, tag=True, gc=False):
    """What an operator sees of those of these calls that the asked node runs, with or without
    their journals."""

    calls: tuple[UUID, ...]
    journal: bool = False


AnyParcel = (
    Telling
    | InCall
    | Replaced
    | SessionEnded
    | Present
    | WhoIsPresent
    | Word
    | Owns
    | Over
    | Missed
    | Handed
    | Commanded
    | Answered
    | SocketNews
    | Funded
    | Asked
    | Told
    | Declined
)
CallQuestion = Attach | Join | Look | Accept | Reject | End | Stop | Hook
AnyQuestion = CallQuestion | Survey

encode = msgspec.msgpack.Encoder().encode
_parcels: msgspec.msgpack.Decoder[AnyParcel] = msgspec.msgpack.Decoder(AnyParcel)
_questions: msgspec.msgpack.Decoder[AnyQuestion] = msgspec.msgpack.Decoder(AnyQuestion)


def decode(parcel: bytes) -> AnyParcel:
    """
    Raises:
        msgspec.DecodeError: it is none of ours.
    """
    return _parcels.decode(parcel)


def decode_question(question: bytes) -> AnyQuestion:
    return _questions.decode(question)


class _Refusal(msgspec.Struct, frozen=True, array_like=True):
    code: Code
    message: str
    field: str | None
    retry_after_ms: int | None
    details: dict[str, object]


_refusal = msgspec.msgpack.Decoder(_Refusal).decode


def encode_refusal(refused: Refused) -> bytes:
    details: dict[str, object] = msgspec.to_builtins(refused.details)
    return encode(
        _Refusal(refused.code, refused.message, refused.field, refused.retry_after_ms, details)
    )


def decode_refusal(refusal: bytes) -> Refused:
    found = _refusal(refusal)
    return Refused(
        found.code,
        found.message,
        field=found.field,
        retry_after_ms=found.retry_after_ms,
        details=found.details,
    )
