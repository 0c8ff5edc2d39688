"""Bytes to structs and back: envelopes, splicing, and errors that name their field."""

from uuid import UUID

import msgspec
import pytest

from signalling import commands, events
from signalling.codes import By, Code, Reason, Refused
from signalling.frames import (
    SIGNAL,
    decode_data,
    decode_frame,
    encode_error,
    encode_event,
    encode_ok,
    encode_pong,
    encode_raw,
    finish,
    id_of,
)
from tests.signalling.shapes import fault_of

CALL = UUID("018f4d6e-0000-7000-8000-000000000001")


def test_the_data_of_a_frame_stays_as_it_came_until_its_type_is_known() -> None:
    frame = decode_frame(b'{"type":"signal","id":"s1","data":{ "kind" : "end", "gen": 1 }}')
    assert bytes(frame.data) == b'{ "kind" : "end", "gen": 1 }'
    assert decode_data(frame) == commands.Signal(kind="end", gen=1)


def test_a_frame_without_data_means_empty_data() -> None:
    assert decode_data(decode_frame(b'{"type":"bye"}')) == commands.Nothing()


def test_every_command_decodes_from_its_own_encoding() -> None:
    ping = msgspec.json.encode({"type": "ping", "data": {"t": 5}})
    assert decode_data(decode_frame(ping)) == commands.Ping(t=5)
    for name, struct in commands.DATA.items():
        frame = decode_frame(msgspec.json.encode({"type": name, "data": {}}))
        required = any(field.required for field in msgspec.structs.fields(struct))
        if required:
            with pytest.raises(Refused):
                decode_data(frame)
        else:
            assert decode_data(frame) == struct()


def test_a_type_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(Refused) as caught:
        decode_data(decode_frame(b'{"type":"call_teleport"}'))
    assert (caught.value.code, caught.value.field) == (Code.UNKNOWN_TYPE, "type")


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b'{"id":"a","type":5}', "a"),
        (b'{"id":"a","nonsense":1}', "a"),
        (b'{"id":7}', None),
        (b'{"id":""}', None),
        (b'{"id":"' + b"x" * 65 + b'"}', None),
        (b'{"type":"x"}', None),
        (b'["id"]', None),
        (b'{"id":"a"', None),
        (b"\xff\xfe", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_id_of_a_broken_frame_is_found_where_there_is_one(
    raw: bytes, expected: str | None
) -> None:
    assert id_of(raw) == expected


def test_an_event_is_encoded_once_and_numbered_for_each_device() -> None:
    event = encode_event(events.CallTaken(leg="caller", device="tab"), 1_234, call=CALL, rev=7)  # type: ignore[arg-type]
    first, second = finish(event, 1), finish(event, 41, re='c"1')
    assert first == (
        b'{"type":"call_taken","seq":1,"call":"018f4d6e-0000-7000-8000-000000000001","rev":7,'
        b'"ts":1234,"data":{"leg":"caller","device":"tab"}}'
    )
    decoded = msgspec.json.decode(second)
    assert (decoded["seq"], decoded["re"], decoded["rev"]) == (41, 'c"1', 7)
    assert fault_of(decoded) is None


def test_what_is_relayed_keeps_every_byte() -> None:
    data = b'{"kind":"offer", "gen":1,"sdp":"v=0\\r\\n\\u00e9","from":"caller"}'
    assert finish(encode_raw("signal", data, 5, call=CALL), 3).endswith(b',"data":' + data + b"}")


def test_a_signal_for_one_device_is_what_it_would_be_for_many() -> None:
    call, data = b"01a1fd97-fe37-7326-ac5a-7e093d090463", b'{"kind":"end","gen":1}'
    event = encode_raw("signal", data, 5, call=call)
    assert SIGNAL % (7, call, 5, data) == finish(event, 7)


def test_an_event_without_a_call_has_neither_call_nor_rev() -> None:
    decoded = msgspec.json.decode(finish(encode_event(events.Draining(retry_ms=9), 5), 1))
    assert decoded == {"type": "draining", "seq": 1, "ts": 5, "data": {"retryMs": 9}}


def test_an_answer_names_the_command_and_is_not_numbered() -> None:
    final = events.Final(ring_seconds=1, talk_seconds=2, billed_seconds=60, units=1, total=9)
    decoded = msgspec.json.decode(encode_ok("c1", events.EndOk(call=CALL, final=final)))
    assert fault_of(decoded) is None
    assert set(decoded) == {"type", "re", "data"}
    assert decoded["data"]["final"]["talkSeconds"] == 2


def test_an_error_carries_its_field_its_wait_and_its_details() -> None:
    refused = Refused(
        Code.RATE_LIMITED,
        "Slower.",
        field="data.x",
        retry_after_ms=50,
        details={"reason": Reason.BUSY, "by": By.CALLEE, "required": 3},
    )
    assert msgspec.json.decode(encode_error(None, refused)) == {
        "type": "error",
        "re": None,
        "data": {
            "code": "rate_limited",
            "message": "Slower.",
            "retryAfterMs": 50,
            "field": "data.x",
            "reason": "busy",
            "by": "callee",
            "required": 3,
        },
    }


def test_a_pong_gives_the_clock_and_what_was_sent() -> None:
    pong = msgspec.json.decode(encode_pong(4, 1_000))
    assert pong == {"type": "pong", "data": {"t": 4, "now": 1_000}}
