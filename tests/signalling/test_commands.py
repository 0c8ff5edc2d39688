"""Malformed frames: each is refused with the name of the field that is wrong."""

from typing import Any

import msgspec
import pytest

from signalling.codes import Code, Refused
from signalling.commands import DATA
from signalling.frames import decode_data, decode_frame

ID = "018f4d6e-0000-7000-8000-000000000001"
HELLO: dict[str, Any] = {"device": {"id": "phone"}, "protocol": 1}
GOOD: dict[str, list[dict[str, Any]]] = {
    "hello": [
        HELLO,
        {**HELLO, "token": "t", "features": ["a"]},
        {**HELLO, "resume": {"session": "s", "secret": "x", "lastSeq": 0}},
        {"device": {"id": "a-b_c.d:e@f", "name": "Pixel", "platform": "android"}, "protocol": 9},
    ],
    "ping": [{}, {"t": 0}, {"t": 2**53}],
    "ack": [{"seq": 0}],
    "bye": [{}],
    "call_request": [
        {"toUserId": ID},
        {"toPhone": "+491700000000", "kind": "video", "connectOn": "answer", "note": "Hi"},
        {"toUserId": ID, "maxPricePerMinute": 0, "callId": ID},
    ],
    "call_ringing": [{}, {"muted": True}],
    "call_accept": [{}, {"media": {"audio": False, "video": True}}],
    "call_reject": [{}, {"reason": "away", "note": "later"}],
    "call_end": [{}],
    "call_take": [{}],
    "signal": [
        {"kind": "offer", "gen": 1, "sdp": "v=0"},
        {"kind": "candidates", "gen": 1_000_000, "candidates": [{}] * 32},
        {"kind": "end", "gen": 1},
    ],
    "media_connected": [{}, {"gen": 2, "relay": True, "ms": 350}],
    "media_lost": [{}, {"why": "app"}],
    "media_stats": [{"inBytes": 0}, {"inBytes": 1, "rttMs": 12.5, "loss": 1, "jitterMs": 3}],
    "media_state": [{}, {"audio": False, "video": True, "hold": True}],
    "ice_servers": [{}],
    "chat_send": [{"conversation": ID, "text": "x" * 4_000}],
    "chat_read": [{"conversation": ID, "message": ID}],
    "chat_typing": [{"conversation": ID}, {"conversation": ID, "typing": False}],
    "presence_set": [{"presence": "break", "statusMessage": "x" * 140}],
    "presence_watch": [{}, {"users": [ID] * 200, "directory": True}],
}
BAD: list[tuple[str, object, str]] = [
    ("hello", {"device": {"id": "phone"}}, "data.protocol"),
    ("hello", {"protocol": 1}, "data.device"),
    ("hello", {**HELLO, "device": {}}, "data.device.id"),
    ("hello", {**HELLO, "device": {"id": ""}}, "data.device.id"),
    ("hello", {**HELLO, "device": {"id": "x" * 65}}, "data.device.id"),
    ("hello", {**HELLO, "device": {"id": "my phone"}}, "data.device.id"),
    ("hello", {**HELLO, "device": {"id": "a", "name": "x" * 81}}, "data.device.name"),
    ("hello", {**HELLO, "device": {"id": "a", "platform": 5}}, "data.device.platform"),
    ("hello", {**HELLO, "device": {"id": "a", "os": "x"}}, "data.device.os"),
    ("hello", {**HELLO, "protocol": "1"}, "data.protocol"),
    ("hello", {**HELLO, "token": "x" * 3_001}, "data.token"),
    ("hello", {**HELLO, "features": ["a"] * 33}, "data.features"),
    ("hello", {**HELLO, "features": ["a", 5]}, "data.features[1]"),
    ("hello", {**HELLO, "resume": {"session": "s", "secret": "x"}}, "data.resume.lastSeq"),
    ("ping", {"t": -1}, "data.t"),
    ("ping", {"t": 2**53 + 1}, "data.t"),
    ("ping", {"t": 1.5}, "data.t"),
    ("ack", {}, "data.seq"),
    ("bye", {"why": "x"}, "data.why"),
    ("call_request", {"toUserId": "kai"}, "data.toUserId"),
    ("call_request", {"toUserId": None, "toPhone": "+" + "1" * 20}, "data.toPhone"),
    ("call_request", {"toUserId": ID, "kind": "hologram"}, "data.kind"),
    ("call_request", {"toUserId": ID, "maxPricePerMinute": -1}, "data.maxPricePerMinute"),
    ("call_request", {"toUserId": ID, "connectOn": "hope"}, "data.connectOn"),
    ("call_request", {"toUserId": ID, "callId": 5}, "data.callId"),
    ("call_request", {"toUserId": ID, "note": "x" * 201}, "data.note"),
    ("call_request", {"to_user_id": ID}, "data.to_user_id"),
    ("call_ringing", {"muted": "no"}, "data.muted"),
    ("call_accept", {"media": {"audio": 1}}, "data.media.audio"),
    ("call_accept", {"media": {"smell": True}}, "data.media.smell"),
    ("call_reject", {"reason": "rude"}, "data.reason"),
    ("call_reject", {"note": "x" * 201}, "data.note"),
    ("call_end", {"reason": "x"}, "data.reason"),
    ("call_take", {"device": "x"}, "data.device"),
    ("signal", {"gen": 1}, "data.kind"),
    ("signal", {"kind": "offer"}, "data.gen"),
    ("signal", {"kind": "offer", "gen": 0}, "data.gen"),
    ("signal", {"kind": "offer", "gen": 1_000_001}, "data.gen"),
    ("signal", {"kind": "bye", "gen": 1}, "data.kind"),
    ("signal", {"kind": "end", "gen": 1, "from": "caller"}, "data.from"),
    ("signal", {"kind": "candidates", "gen": 1, "candidates": [{}] * 33}, "data.candidates"),
    ("signal", {"kind": "candidates", "gen": 1, "candidates": {}}, "data.candidates"),
    ("media_connected", {"gen": 0}, "data.gen"),
    ("media_connected", {"ms": -5}, "data.ms"),
    ("media_lost", {"why": "boredom"}, "data.why"),
    ("media_stats", {}, "data.inBytes"),
    ("media_stats", {"inBytes": 1, "loss": 1.1}, "data.loss"),
    ("media_stats", {"inBytes": 1, "rttMs": -0.1}, "data.rttMs"),
    ("media_stats", {"inBytes": 1, "jitterMs": "3"}, "data.jitterMs"),
    ("media_stats", {"inBytes": 1.5}, "data.inBytes"),
    ("media_state", {"hold": None}, "data.hold"),
    ("ice_servers", {"call": ID}, "data.call"),
    ("chat_send", {"conversation": ID}, "data.text"),
    ("chat_send", {"conversation": ID, "text": ""}, "data.text"),
    ("chat_send", {"conversation": ID, "text": "x" * 4_001}, "data.text"),
    ("chat_send", {"conversation": "x", "text": "y"}, "data.conversation"),
    ("chat_read", {"conversation": ID}, "data.message"),
    ("chat_typing", {"conversation": ID, "typing": 1}, "data.typing"),
    ("presence_set", {"presence": "busy"}, "data.presence"),
    ("presence_set", {"presence": "online", "statusMessage": "x" * 141}, "data.statusMessage"),
    ("presence_watch", {"users": [ID] * 201}, "data.users"),
    ("presence_watch", {"users": [ID, "x"]}, "data.users[1]"),
    ("presence_watch", {"directory": 1}, "data.directory"),
    ("signal", 5, "data"),
    ("call_end", [], "data"),
]
BAD_ENVELOPES: list[tuple[bytes, str | None]] = [
    (b"{}", "type"),
    (b'{"type":5}', "type"),
    (b'{"type":""}', "type"),
    (b'{"type":"' + b"x" * 41 + b'"}', "type"),
    (b'{"type":"ping","id":""}', "id"),
    (b'{"type":"ping","id":"' + b"x" * 65 + b'"}', "id"),
    (b'{"type":"ping","id":7}', "id"),
    (b'{"type":"ping","call":"x"}', "call"),
    (b'{"type":"ping","ack":-1}', "ack"),
    (b'{"type":"ping","ack":1.5}', "ack"),
    (b'{"type":"ping","seq":1}', "seq"),
    (b"[]", None),
    (b'"ping"', None),
    (b"{", None),
    (b"", None),
    (b'{"type":"ping"} x', None),
    (b"\xff", None),
    (b'{"type":"ping","data":' + b"[" * 50_000, None),
]


def test_there_is_a_good_example_of_every_command() -> None:
    assert set(GOOD) == set(DATA)


@pytest.mark.parametrize("kind", GOOD)
def test_good_data_is_taken_as_it_is(kind: str) -> None:
    for data in GOOD[kind]:
        decoded = decode_data(decode_frame(msgspec.json.encode({"type": kind, "data": data})))
        assert type(decoded) is DATA[kind]
        names = {field.encode_name: field.name for field in msgspec.structs.fields(type(decoded))}
        for name, value in data.items():
            found = getattr(decoded, names[name])
            if isinstance(value, bool | int | float):
                assert found == value
            elif isinstance(value, str):
                assert str(found) == value or bytes(found).decode() == f'"{value}"'
            else:
                assert len(found) == len(value) if isinstance(value, list) else found is not None


@pytest.mark.parametrize(("kind", "data", "field"), BAD)
def test_bad_data_is_refused_with_its_field(kind: str, data: object, field: str) -> None:
    frame = decode_frame(msgspec.json.encode({"type": kind, "data": data}))
    with pytest.raises(Refused) as caught:
        decode_data(frame)
    assert (caught.value.code, caught.value.field) == (Code.BAD_FRAME, field)
    assert caught.value.message.endswith(".")
    assert " - at `" not in caught.value.message


@pytest.mark.parametrize(("raw", "field"), BAD_ENVELOPES)
def test_a_bad_envelope_is_refused_with_its_field(raw: bytes, field: str | None) -> None:
    with pytest.raises(Refused) as caught:
        decode_frame(raw)
    assert (caught.value.code, caught.value.field) == (Code.BAD_FRAME, field)


def test_data_that_is_broken_json_is_refused_too() -> None:
    with pytest.raises(Refused) as caught:
        decode_frame(b'{"type":"ping","data":{"t":}}')
    assert caught.value.code is Code.BAD_FRAME


def test_half_a_surrogate_pair_is_no_text() -> None:
    raw = b'{"type":"chat_send","data":{"conversation":"' + ID.encode() + b'","text":"\\ud800"}}'
    with pytest.raises(Refused) as caught:
        decode_data(decode_frame(raw))
    assert caught.value.code is Code.BAD_FRAME
