"""What others are sent; that they take it is seen by `make bench ARGS=--peers`."""

import json

import pytest

from tests.bench.pairs import ACCEPT, CANDIDATE, END, ID_EXAMPLE, OFFER, REQUEST
from tests.bench.peers.wires import (
    is_peerjs_message,
    is_socketio_message,
    peerjs_message,
    socketio_message,
)
from tests.bench.relayed import PAYLOAD

FRAMES = [
    REQUEST % (1, ID_EXAMPLE),
    ACCEPT % (1, ID_EXAMPLE),
    OFFER % ID_EXAMPLE,
    CANDIDATE % ID_EXAMPLE,
    END % (1, ID_EXAMPLE),
]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_message_for_peerjs_carries_what_ours_carries(frame: bytes) -> None:
    said = json.loads(peerjs_message(b"b7", frame))
    assert (said["type"], said["dst"]) == ("CANDIDATE", "b7")
    assert said["payload"] == json.loads(frame).get("data", {})
    assert is_peerjs_message(peerjs_message(b"b7", frame))


def test_a_message_of_known_latency_carries_the_same_to_peerjs() -> None:
    said = json.loads(peerjs_message(b"b7", PAYLOAD))
    assert said["payload"] == json.loads(PAYLOAD)["data"]


@pytest.mark.parametrize("frame", FRAMES)
def test_a_message_for_socketio_carries_what_ours_carries(frame: bytes) -> None:
    said = socketio_message(frame)
    assert said[:2] == b"42"
    assert json.loads(said[2:]) == ["m", json.loads(frame).get("data", {})]
    assert is_socketio_message(said)


def test_what_the_peers_say_of_themselves_is_no_message() -> None:
    assert not is_peerjs_message(b'{"type":"OPEN"}')
    for said in (b'0{"sid":"a"}', b'40{"sid":"a"}', b"2"):
        assert not is_socketio_message(said)
