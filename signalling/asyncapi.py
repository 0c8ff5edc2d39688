"""The socket as an AsyncAPI 3.0 document, from the same structs that decode and encode its frames.

Written from the server's side, as the standard wants it: it *receives* commands and *sends* events.
"""

from typing import Any

import msgspec

from signalling.codes import Close, Code
from signalling.commands import DATA, Frame
from signalling.events import (
    EVENTS,
    CallOk,
    Empty,
    EndOk,
    IceOk,
    MessageOk,
    Shape,
    SignalOk,
)
from signalling.examples import MOMENT_MS, UUID_EXAMPLE, example_of

REF = "#/components/schemas/{name}"
CHANNEL = "#/channels/socket"
STOP_FROM = 4400  # Close codes below it ask the client to come back.

COMMANDS: dict[str, str] = {
    "hello": "Who one is: the first frame of a socket.",
    "ping": "Proof of life; answered by `pong`.",
    "ack": "Up to which `seq` events have been worked off.",
    "bye": "The end of the session, without a grace.",
    "call_request": "Ring somebody.",
    "call_ringing": "Report: this device rings.",
    "call_accept": "Answer.",
    "call_reject": "Refuse before answering.",
    "call_end": "Hang up, or cancel: I want out, in any state.",
    "call_take": "This device takes over its user's leg.",
    "signal": "An offer, an answer or candidates for the other leg.",
    "media_connected": "Report: media flows.",
    "media_lost": "Report: media has stopped.",
    "media_stats": "Report: the counters of this leg, every ten seconds.",
    "media_state": "Mute, camera and hold of this leg.",
    "ice_servers": "Fresh TURN credentials.",
    "chat_send": "A message.",
    "chat_read": "Read up to a message.",
    "chat_typing": "Somebody is typing.",
    "presence_set": "Whether one takes calls.",
    "presence_watch": "Whose presence one wants to hear of.",
}
# What `ok` carries; `{}` for the others. `ping`, `ack`, `bye` and `media_stats` get none.
ANSWERS: dict[str, type[Shape]] = {
    "call_request": CallOk,
    "call_accept": CallOk,
    "call_take": CallOk,
    "call_end": EndOk,
    "ice_servers": IceOk,
    "chat_send": MessageOk,
    "signal": SignalOk,
}
UNANSWERED = frozenset({"hello", "ping", "ack", "bye", "media_stats"})


def build_asyncapi(*, version: str) -> dict[str, Any]:
    """The document as plain JSON values."""
    shapes = list(dict.fromkeys([*DATA.values(), *EVENTS, *ANSWERS.values(), Empty]))
    refs, schemas = msgspec.json.schema_components(shapes, ref_template=REF)
    ref_of = dict(zip(shapes, refs, strict=True))
    messages = {
        **{f"command_{name}": _command(name, ref_of[shape]) for name, shape in DATA.items()},
        **{f"event_{shape.TYPE}": _event(shape, ref_of[shape]) for shape in EVENTS},
        **{f"ok_{name}": _ok(name, ref_of[shape]) for name, shape in ANSWERS.items()},
        "event_signal": _relayed(ref_of[DATA["signal"]]),
        "ok": _ok("", ref_of[Empty]),
        "error": _error(),
        "pong": _pong(),
    }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Talktime socket",
            "version": version,
            "license": {"name": "Apache-2.0"},
            "description": "JSON text frames of at most 65 536 bytes, subprotocol `talktime.v1`. "
            "Times are Unix milliseconds of the server's clock, amounts integers in the "
            "currency's smallest unit. PROTOCOL.md explains states, timers and rules.",
        },
        "defaultContentType": "application/json",
        "channels": {
            "socket": {
                "address": "/ws",
                "summary": "One socket for each device. The same at `/ws/call`.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
                "bindings": {"ws": {"method": "GET"}},
            }
        },
        "operations": _operations(messages),
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "In `hello`, or as Authorization in the upgrade; never in the "
                    "URL.",
                }
            },
        },
        "x-close-codes": [
            {"code": int(code), "name": code.name.lower(), "reconnect": int(code) < STOP_FROM}
            for code in Close
        ],
    }


def _operations(messages: dict[str, Any]) -> dict[str, Any]:
    def pointers(*names: str) -> list[dict[str, str]]:
        return [{"$ref": f"{CHANNEL}/messages/{name}"} for name in names]

    found: dict[str, Any] = {}
    for name in DATA:
        found[name] = {
            "action": "receive",
            "channel": {"$ref": CHANNEL},
            "summary": COMMANDS[name],
            "messages": pointers(f"command_{name}"),
        }
        answers = [] if name in UNANSWERED else [f"ok_{name}" if name in ANSWERS else "ok"]
        answers += {"hello": ["event_welcome"], "ping": ["pong"]}.get(name, [])
        found[name]["reply"] = {
            "channel": {"$ref": CHANNEL},
            "messages": pointers(*answers, "error"),
        }
    found["events"] = {
        "action": "send",
        "channel": {"$ref": CHANNEL},
        "summary": "What happened: the only source of state for a client.",
        "messages": pointers(*(name for name in messages if name.startswith("event_"))),
    }
    return found


def _message(name: str, summary: str, payload: dict[str, Any], *examples: Any) -> dict[str, Any]:
    return {
        "name": name,
        "title": name,
        "summary": summary,
        "payload": payload,
        "examples": [{"name": name, "payload": each} for each in examples],
    }


def _envelope(name: str, data: dict[str, Any], **more: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"type": {"const": name}, **more, "data": data},
        "required": ["type"],
    }


UUID_SCHEMA = {"type": "string", "format": "uuid"}
NUMBER = {"type": "integer", "minimum": 0}


def _command(name: str, data: dict[str, Any]) -> dict[str, Any]:
    fields = {field.name for field in msgspec.structs.fields(Frame)}
    known: dict[str, dict[str, Any]] = {
        "id": {
            "type": "string",
            "minLength": 1,
            "maxLength": 64,
            "description": "Its name and idempotency key: sent again unchanged, it has one effect.",
        },
        "call": {**UUID_SCHEMA, "description": "The call it is about, if it is about one."},
        "ack": {**NUMBER, "description": "The highest `seq` that has been worked off."},
    }
    assert fields == {"type", "data", *known}
    payload = {**_envelope(name, data, **known), "additionalProperties": False}
    example: dict[str, Any] = {"type": name, "id": "c17"}
    if name.startswith(("call_", "media_", "signal", "ice_")) and name != "call_request":
        example["call"] = UUID_EXAMPLE
    example["data"] = example_of(DATA[name], full=False)
    return _message(name, COMMANDS[name], payload, example)


def _event(shape: Any, data: dict[str, Any]) -> dict[str, Any]:
    summary = (shape.__doc__ or "").strip() if "__doc__" in vars(shape) else ""
    summary = " ".join(summary.split()) or f"The event `{shape.TYPE}`."
    return _message(
        shape.TYPE, summary, _event_payload(shape.TYPE, data), _frame(shape.TYPE, example_of(shape))
    )


def _event_payload(name: str, data: dict[str, Any]) -> dict[str, Any]:
    payload = _envelope(
        name,
        data,
        seq={**NUMBER, "minimum": 1},
        re={"type": "string", "description": "The `id` of the command that caused it."},
        call=UUID_SCHEMA,
        rev={**NUMBER, "description": "The call's revision after it."},
        ts={**NUMBER, "description": "Server time, Unix milliseconds."},
    )
    return {**payload, "required": ["type", "seq", "ts", "data"]}


def _frame(name: str, data: dict[str, Any]) -> dict[str, Any]:
    about = {"call": UUID_EXAMPLE} if name.startswith("call_") or name == "signal" else {}
    return {"type": name, "seq": 7, **about, "ts": MOMENT_MS, "data": data}


def _relayed(data: dict[str, Any]) -> dict[str, Any]:
    """The one event that is not encoded here: the other leg's `signal`, and who it is from."""
    party = {"enum": ["caller", "callee"]}
    schema = {"allOf": [data, {"properties": {"from": party}, "required": ["from"]}]}
    example = {"kind": "end", "gen": 1, "from": "caller"}
    summary = "The other leg's signal, byte for byte as it was sent, and `from`."
    return _message("signal", summary, _event_payload("signal", schema), _frame("signal", example))


def _ok(name: str, data: dict[str, Any]) -> dict[str, Any]:
    about = f"`{name}`" if name else "a command without an answer of its own"
    payload = {**_envelope("ok", data, re={"type": "string"}), "required": ["type", "re", "data"]}
    shape = ANSWERS.get(name, Empty)
    example = {"type": "ok", "re": "c17", "data": example_of(shape)}
    return _message("ok", f"The command was taken: the answer to {about}.", payload, example)


def _error() -> dict[str, Any]:
    data = {
        "type": "object",
        "properties": {
            "code": {"enum": [code.value for code in Code]},
            "message": {"type": "string", "description": "For developers."},
            "field": {"type": "string", "description": "The path of the value that was wrong."},
            "retryAfterMs": {**NUMBER, "description": "Nothing was applied; try again then."},
        },
        "required": ["code", "message"],
    }
    payload = {
        **_envelope("error", data, re={"type": ["string", "null"]}),
        "required": ["type", "re", "data"],
    }
    example = {
        "type": "error",
        "re": "c17",
        "data": {"code": "bad_frame", "message": "Expected `bool`.", "field": "data.media.audio"},
    }
    return _message("error", "The command was refused; nothing has changed.", payload, example)


def _pong() -> dict[str, Any]:
    data = {"type": "object", "properties": {"t": NUMBER, "now": NUMBER}, "required": ["t", "now"]}
    example = {"type": "pong", "data": {"t": 5, "now": MOMENT_MS}}
    return _message("pong", "The answer to `ping`.", _envelope("pong", data), example)
