"""Whether a frame of the server is what the structs of `signalling.events` promise."""

import typing
from typing import Any

import msgspec

from signalling import events
from signalling.codes import Code
from signalling.commands import Signal

EVENT_OF = {struct.TYPE: struct for struct in events.EVENTS}
ENVELOPE = {"type", "seq", "call", "rev", "ts", "re", "data"}
# The types that `ok` may carry, most telling first.
ANSWERS = (events.CallOk, events.EndOk, events.MessageOk, events.IceOk, events.SignalOk)


def fits(data: Any, struct: type[msgspec.Struct]) -> bool:
    """True if `data` decodes as `struct` and nothing is left over or lost."""
    if struct is events.Welcome and "call" not in data:
        struct = _WithoutCall
    try:
        decoded = msgspec.json.decode(msgspec.json.encode(data), type=struct)
    except msgspec.ValidationError:
        return False
    return bool(msgspec.to_builtins(decoded) == data)


def fault_of(frame: dict[str, Any]) -> str | None:
    """What is wrong with a frame from the server; None if nothing is."""
    kind = frame.get("type")
    data = frame.get("data")
    match kind:
        case "ok":
            good = set(frame) == {"type", "re", "data"} and any(fits(data, a) for a in ANSWERS)
        case "error":
            good = (
                set(frame) == {"type", "re", "data"}
                and isinstance(data, dict)
                and isinstance(data.get("message"), str)
                and data.get("code") in set(Code)
            )
        case "pong":
            good = set(frame) == {"type", "data"} and set(data or {}) == {"t", "now"}
        case "signal":
            good = _is_event(frame) and isinstance(data, dict) and _is_signal(dict(data))
        case _:
            struct = EVENT_OF.get(str(kind))
            good = struct is not None and _is_event(frame) and fits(data, struct)
    return None if good else f"not a frame of this protocol: {frame}"


def _is_event(frame: dict[str, Any]) -> bool:
    return set(frame) <= ENVELOPE and isinstance(frame.get("seq"), int) and "ts" in frame


def _is_signal(data: dict[str, Any]) -> bool:
    if data.pop("from", None) not in ("caller", "callee"):
        return False
    try:
        msgspec.json.decode(msgspec.json.encode(data), type=Signal)
    except msgspec.ValidationError:
        return False
    return True


def _without_call() -> type[msgspec.Struct]:
    """`welcome` of a device whose user is in no call: the key is left out."""
    hints = typing.get_type_hints(events.Welcome)
    fields = [
        (field.name, hints[field.name], msgspec.field(default=field.default))
        for field in msgspec.structs.fields(events.Welcome)
        if field.name != "call"
    ]
    return msgspec.defstruct("WithoutCall", fields, rename="camel", kw_only=True)


_WithoutCall = _without_call()
