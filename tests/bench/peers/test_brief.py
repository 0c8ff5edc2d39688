"""The shortest paid call: what each side says, in which order."""

import json
from uuid import UUID

from tests.bench.lab import Login
from tests.bench.line import Line
from tests.bench.pairs import ID_EXAMPLE, Tally
from tests.bench.peers.brief import BriefPair


class Recorded(Line):
    def __init__(self, said: list[str]) -> None:
        super().__init__()
        self._said = said

    def send(self, payload: bytes) -> None:
        self._said.append(json.loads(payload)["type"])


def test_a_brief_call_is_six_frames_without_signals() -> None:
    said: list[str] = []
    caller, callee = Recorded(said), Recorded(said)
    pair = BriefPair(caller, callee, Login(UUID(ID_EXAMPLE.decode()), "token"))
    tally, done = Tally(), list[object]()
    pair.begin(tally, done.append)
    for line, frame in (
        (callee, b'{"type":"call_incoming","seq":1,"call":"%b"}' % ID_EXAMPLE),
        (callee, b'{"type":"call_ringing","seq":2,"call":"%b"}' % ID_EXAMPLE),
        (callee, b'{"type":"ok","re":"a1"}'),
        (caller, b'{"type":"call_accepted","seq":3,"call":"%b"}' % ID_EXAMPLE),
        (caller, b'{"type":"call_tick","seq":4,"call":"%b"}' % ID_EXAMPLE),
        (callee, b'{"type":"call_ended","seq":5,"call":"%b"}' % ID_EXAMPLE),
        (caller, b'{"type":"call_ended","seq":6,"call":"%b"}' % ID_EXAMPLE),
        (caller, b'{"type":"ok","re":"e1"}'),
    ):
        line.on_frame(frame)
    request, ringing, accept, *media, end = said
    assert (request, ringing, accept) == ("call_request", "call_ringing", "call_accept")
    assert (media, end) == (["media_connected"] * 2, "call_end")
    assert (tally.done, len(done)) == (1, 1)
