"""Examples of shapes, made from the shapes themselves: documents never lack one, and never lie.

A value is chosen by the field's name where a person would expect something particular, else by its
type and limits.
"""

from typing import Any, get_args

import msgspec
from msgspec import UNSET, inspect

# Wire names, and what stands there. Used where the field's type takes it.
HINTS: dict[str, object] = {
    "name": "Mia",
    "displayName": "Kai",
    "userDisplayName": "Mia",
    "withUser": "Kai",
    "email": "mia@example.org",
    "phone": "+4915112345678",
    "recipientPhone": "+4915112345678",
    "recipient_phone": "+4915112345678",
    "toPhone": "+4915112345678",
    "password": "correct horse battery",
    "currentPassword": "correct horse battery",
    "newPassword": "staple battery horse",
    "otp": "123456",
    "currency": "PTS",
    "token": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    "accessToken": "eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl",
    "refreshToken": "hV0yN8Xf3pQwJb6rTz1kLm5oCsEu9aGdYi2vRxHq4Mt",
    "expiresIn": 900,
    "expires_in": 900,
    "ttl": 120,
    "roles": ["customer"],
    "role": "customer",
    "status": "online",
    "signalingUrl": "wss://talk.example.org/ws",
    "avatar": "/media/avatars/mia.webp",
    "avatarUrl": "/media/avatars/mia.webp",
    "profileImageUrl": "/media/avatars/kai.webp",
    "bio": "Likes long walks.",
    "intro": "Likes long walks.",
    "introduction": "Ask me about bread.",
    "statusMessage": "Back at six.",
    "comment": "A good talk.",
    "score": 5,
    "rating": 4.5,
    "text": "Hello!",
    "note": "About the bread.",
    "reason": "A word about why.",
    "message": "You missed a call from Mia.",
    "title": "1000 points",
    "description": "1000 points and 100 on top.",
    "genre": "cooking",
    "genres": ["cooking"],
    "tags": ["bread"],
    "gender": "female",
    "birthday": "1990-05-17",
    "age": 36,
    "start": "09:00",
    "end": "17:00",
    "amount": 1000,
    "price": 1000,
    "balance": 1000,
    "available": 880,
    "held": 120,
    "bonus": 100,
    "pricePerMinute": 120,
    "priceAudio": 120,
    "priceVideo": 200,
    "limit": 20,
    "offset": 0,
    "page": 1,
    "total": 1,
    "method": "sandbox",
    "checkoutUrl": "https://talk.example.org/sandbox/checkout/pay_8fJ2",
    "reference": "pay_8fJ2kQ0sVh3NzXwE1rTb5LmC",
    "urls": ["turn:turn.example.org:3478"],
    "device": "phone-1",
    "state": "connected",
    "kind": "audio",
    "type": "audio",
    "presence": "online",
    "service": "talktime",
    "version": "0.1.0",
    "session": "0192f1a0-5b7c-7d3e-8f90-000000000001",
    "platform": "android",
    "features": [],
    "connectOn": "media",
    "you": "active",
    "gen": 1,
    "hold": False,
    "muted": False,
    "elsewhere": False,
    "withdrawn": False,
    "resumed": False,
    "stale": False,
    "superseded": False,
    "merged": False,
    "quality": "good",
    "firstMs": 60_000,
    "nextMs": 60_000,
    "freeMs": 0,
    "connectFee": 0,
    "charged": 120,
    "pingMs": 25_000,
    "deadMs": 60_000,
    "pingCallMs": 5_000,
    "deadCallMs": 15_000,
    "retryMs": 2_000,
    "ringSeconds": 4,
    "talkSeconds": 58,
    "billedSeconds": 60,
    "billableMs": 58_000,
    "secondsLeft": 60,
    "rttMs": 40,
    "inBytes": 354_000,
    "outBytes": 333_000,
    "frameBytes": 65_536,
    "sdp": {"type": "offer", "sdp": "v=0\r\n"},
}
UUID_EXAMPLE = "0192f1a0-5b7c-7d3e-8f90-a1b2c3d4e5f6"
TIME_EXAMPLE = "2026-11-25T10:48:04.194000Z"
DATE_EXAMPLE = "2026-11-25"
MOMENT_MS = 1_795_603_684_194


def example_of(shape: type[msgspec.Struct], *, full: bool = True) -> dict[str, Any]:
    """An instance of the shape in wire names and JSON values; it decodes into the shape.

    `full`: with every field, as answers and events have them. Without it only with what must be
    there, as one would send it.
    """
    return {
        field.encode_name: _value(field.type, field.encode_name, full)
        for field in msgspec.structs.fields(shape)
        if full or field.required
    }


def _value(kind: Any, name: str, full: bool) -> Any:
    hint = HINTS.get(name)
    if hint is not None and _takes(kind, hint):
        return hint
    match inspect.type_info(kind):
        case inspect.Metadata(type=inspect.UnionType()) | inspect.UnionType():
            return _value(_first(kind), name, full)
        case inspect.StructType(cls=shape):
            return example_of(shape, full=full)
        case inspect.ListType() | inspect.VarTupleType():
            return [_value(_item(kind), name.removesuffix("s"), full)]
        case inspect.IntType() as number:
            return _integer(number, name)
        case inspect.FloatType(ge=low):
            return 0.5 if low is None else low
        case inspect.BoolType():
            return True
        case inspect.StrType() as text:
            return _text(text, name)
        case inspect.LiteralType(values=values):
            return values[0]
        case inspect.EnumType(cls=words):
            return next(iter(words)).value
        case inspect.UUIDType():
            return UUID_EXAMPLE
        case inspect.DateTimeType():
            return TIME_EXAMPLE
        case inspect.DateType():
            return DATE_EXAMPLE
        case _:
            return {}


def _takes(kind: Any, hint: object) -> bool:
    """Whether a field of this type may hold the hint."""
    try:
        msgspec.convert(hint, kind)
    except msgspec.ValidationError:
        return False
    return True


def _first(kind: Any) -> Any:
    """The first type of a union that is a value."""
    options = get_args(_plain(kind))
    return next(each for each in options if each not in (type(None), type(UNSET)))


def _item(kind: Any) -> Any:
    # A list that may be left out is a union, but is told as a list.
    if type(UNSET) in get_args(_plain(kind)):
        kind = _first(kind)
    return get_args(_plain(kind))[0]


def _plain(kind: Any) -> Any:
    """The type without what `Annotated` says of it."""
    return get_args(kind)[0] if hasattr(kind, "__metadata__") else kind


def _integer(kind: inspect.IntType, name: str) -> int:
    value = MOMENT_MS if name in ("now", "fundedUntil") or name.endswith("At") else 1
    value = value if kind.ge is None else max(value, kind.ge)
    return value if kind.le is None else min(value, kind.le)


def _text(kind: inspect.StrType, name: str) -> str:
    """The name itself says as much as any other word would."""
    text = name.ljust(kind.min_length or 0, "x")
    return text if kind.max_length is None else text[: kind.max_length]
