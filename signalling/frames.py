"""Frames to structs and structs to frames. Bytes are touched once.

An event for many devices is encoded once as `Encoded`; only `seq` and `re` differ by device and are
spliced in by `finish`.
"""

import re as regex
from uuid import UUID

import msgspec

from signalling.codes import Code, Refused
from signalling.commands import DATA, Command, Frame
from signalling.events import Event, Shape

_frame = msgspec.json.Decoder(Frame)
_data = {name: msgspec.json.Decoder(struct) for name, struct in DATA.items()}
_id_only = msgspec.json.Decoder(dict[str, msgspec.Raw])
_encode = msgspec.json.Encoder().encode
_where = regex.compile(r" - at `(?:key in )?\$\.?([^`]*)`$")

# An event `signal` for one device: seq, call, ts, data.
SIGNAL = b'{"type":"signal","seq":%d,"call":"%b","ts":%d,"data":%b}'


class Encoded(msgspec.Struct, frozen=True, gc=False):
    """An event without its `seq`: `head` ends where the number goes, `tail` begins after it."""

    head: bytes
    tail: bytes


def decode_frame(raw: bytes | str) -> Frame:
    """The envelope of one frame.

    Raises:
        Refused: bad_frame, with the path of the wrong field.
    """
    try:
        return _frame.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        raise bad_frame(fault, "") from None


def decode_data(frame: Frame) -> Command:
    """The frame's `data` as the struct of its `type`.

    Raises:
        Refused: unknown_type, or bad_frame with the path of the wrong field.
    """
    decoder = _data.get(frame.type)
    if decoder is None:
        raise Refused(Code.UNKNOWN_TYPE, f"There is no command {frame.type!r}.", field="type")
    try:
        return decoder.decode(frame.data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as fault:
        raise bad_frame(fault, "data") from None


def id_of(raw: bytes | str) -> str | None:
    """The `id` of a frame that did not decode, so that its error can be answered by name."""
    try:
        found = msgspec.json.decode(_id_only.decode(raw)["id"])
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError, KeyError, TypeError):
        return None
    return found if isinstance(found, str) and 0 < len(found) <= 64 else None


def bad_frame(fault: Exception, prefix: str) -> Refused:
    """A decoder's complaint as a refusal that names the field in wire names."""
    if not isinstance(fault, msgspec.ValidationError):
        return Refused(Code.BAD_FRAME, "The frame is not valid JSON.", field=prefix or None)
    text = str(fault)
    found = _where.search(text)
    path = ".".join(part for part in (prefix, found.group(1) if found else "") if part)
    missing = regex.search(r"(?:required field|unknown field) `([^`]+)`", text)
    if missing:
        path = ".".join(part for part in (path, missing.group(1)) if part)
    message = text[: found.start()] if found else text
    return Refused(Code.BAD_FRAME, f"{message}.", field=path or None)


def encode_event(
    event: Event, now_ms: int, *, call: UUID | bytes | None = None, rev: int | None = None
) -> Encoded:
    """An event for any number of devices. `call` is the call's id, or its text as bytes."""
    return encode_raw(event.TYPE, _encode(event), now_ms, call=call, rev=rev)


def encode_raw(
    kind: str, data: bytes, now_ms: int, *, call: UUID | bytes | None = None, rev: int | None = None
) -> Encoded:
    """An event whose `data` is JSON already."""
    middle = b""
    if call is not None:
        text = call if isinstance(call, bytes) else str(call).encode()
        middle = b',"call":"%b"' % text
    if rev is not None:
        middle += b',"rev":%d' % rev
    return Encoded(
        b'{"type":"%b","seq":' % kind.encode(), b'%b,"ts":%d,"data":%b}' % (middle, now_ms, data)
    )


def finish(event: Encoded, seq: int, re: str | None = None) -> bytes:
    """The frame for one device. `re` names the command of this device that caused the event."""
    if re is None:
        return b"%b%d%b" % (event.head, seq, event.tail)
    return b'%b%d,"re":%b%b' % (event.head, seq, _encode(re), event.tail)


def encode_ok(re: str | None, data: Shape) -> bytes:
    return b'{"type":"ok","re":%b,"data":%b}' % (_encode(re), _encode(data))


def encode_error(re: str | None, refused: Refused) -> bytes:
    body: dict[str, object] = {"code": refused.code.value, "message": refused.message}
    if refused.retry_after_ms is not None:
        body["retryAfterMs"] = refused.retry_after_ms
    if refused.field is not None:
        body["field"] = refused.field
    body.update(refused.details)
    return b'{"type":"error","re":%b,"data":%b}' % (_encode(re), _encode(body))


def encode_pong(t: int, now_ms: int) -> bytes:
    return b'{"type":"pong","data":{"t":%d,"now":%d}}' % (t, now_ms)


def about(frame: Frame) -> dict[str, str]:
    """What a log line may say about a command: never its data."""
    if frame.call is None:
        return {"type": frame.type}
    return {"type": frame.type, "call_id": str(frame.call)}
