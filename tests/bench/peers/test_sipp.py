"""SIPp's scenarios and counts; that Kamailio takes them is seen by `make bench ARGS=--peers`."""

import re
from xml.etree import ElementTree

import pytest

from tests.bench.peers.sipp import CALLEE, CALLER, MESSAGES_A_CALL, Called, counted

HEADS = (
    "ElapsedTime(C);SuccessfulCall(C);FailedCall(C);Retransmissions(C);",
    "00:00:00;0;0;0;",
    "00:00:02;297;3;5;",
)


def sent(scenario: str) -> list[str]:
    """What one side sends: the first line of each message, without its address."""
    texts = [each.text or "" for each in ElementTree.fromstring(scenario.encode()).iter("send")]
    return [re.sub(r" sip:\S+| \[next_url\]", "", text.strip().splitlines()[0]) for text in texts]


def received(scenario: str) -> list[str]:
    """What one side waits for; what may be left out is not in it."""
    return [
        each.attrib.get("request") or each.attrib["response"]
        for each in ElementTree.fromstring(scenario.encode()).iter("recv")
        if each.get("optional") != "true"
    ]


def test_a_call_is_six_messages_and_each_is_waited_for() -> None:
    assert sent(CALLER) == ["INVITE SIP/2.0", "ACK SIP/2.0", "BYE SIP/2.0"]
    assert received(CALLEE) == ["INVITE", "ACK", "BYE"]
    assert sent(CALLEE) == ["SIP/2.0 180 Ringing", "SIP/2.0 200 OK", "SIP/2.0 200 OK"]
    assert received(CALLER) == ["180", "200", "200"]
    assert len(sent(CALLER) + sent(CALLEE)) == MESSAGES_A_CALL


@pytest.mark.parametrize("scenario", [CALLER, CALLEE])
def test_no_message_has_a_body(scenario: str) -> None:
    for each in ElementTree.fromstring(scenario.encode()).iter("send"):
        assert (each.text or "").endswith("Content-Length: 0\n\n")


def test_what_follows_in_a_call_goes_by_the_route_that_was_recorded() -> None:
    for each in ElementTree.fromstring(CALLER.encode()).iter("send"):
        text = each.text or ""
        assert ("[routes]" in text) == ("INVITE sip:" not in text)


def test_the_last_line_of_the_statistics_counts() -> None:
    assert counted("\n".join(HEADS)) == Called(done=297, failed=3, repeated=5)
