import json

import pytest

from signalling.client.envelope import (
    Backoff,
    ServerClock,
    close_name,
    envelope,
    hello,
    socket_url,
)


def test_the_wait_before_an_attempt_doubles_up_to_its_limit() -> None:
    backoff = Backoff(first_ms=100, max_ms=1_000)
    for attempt, middle in enumerate((100, 200, 400, 800, 1_000, 1_000)):
        waits = [backoff.delay_ms(attempt) for _ in range(50)]
        assert middle / 2 <= min(waits) < max(waits) <= middle * 1.5
    assert backoff.delay_ms(10_000) <= 1_500


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("http://127.0.0.1:8080", "ws://127.0.0.1:8080/ws"),
        ("https://talk.example/", "wss://talk.example/ws"),
        ("ws://talk.example/ws/call", "ws://talk.example/ws/call"),
    ],
)
def test_any_address_of_the_server_leads_to_its_socket(given: str, expected: str) -> None:
    assert socket_url(given) == expected


def test_an_envelope_has_only_what_is_known() -> None:
    assert json.loads(envelope("bye", {})) == {"type": "bye", "data": {}}
    frame = json.loads(envelope("signal", {"gen": 1, "sdp": None}, call="c", command_id="i", ack=9))
    assert frame == {"type": "signal", "id": "i", "call": "c", "ack": 9, "data": {"gen": 1}}


def test_the_clock_believes_the_pong_with_the_shortest_way() -> None:
    clock = ServerClock()
    clock.welcome(5_000, 1_000)
    assert clock.offset_ms == 4_000
    clock.pong(sent_ms=1_000, server_ms=4_100, now_ms=1_200)
    assert clock.offset_ms == 3_000
    clock.pong(sent_ms=2_000, server_ms=9_000, now_ms=4_000)
    assert clock.offset_ms == 3_000
    clock.welcome(9_000, 1_000)
    assert clock.offset_ms == 3_000


def test_a_close_code_has_a_name() -> None:
    assert close_name(4503) == "replaced"
    assert close_name(4999) == "closed"


def test_a_hello_asks_for_the_session_of_the_last_welcome() -> None:
    first = json.loads(hello("t", {"id": "d"}, {}, 0))["data"]
    assert first == {"token": "t", "device": {"id": "d"}, "protocol": 1, "features": []}
    welcome = {"session": "s", "secret": "x", "resumed": False}
    later = json.loads(hello("t", {"id": "d"}, welcome, 7))["data"]
    assert later["resume"] == {"session": "s", "secret": "x", "lastSeq": 7}
