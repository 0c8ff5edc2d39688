import pytest

from signalling.client.audio import Source
from signalling.client.link import Link, PeerStats, ice_servers_of, parse_candidate, ufrag_of

LINE = "candidate:1 1 udp 2130706431 192.0.2.7 5000 typ host"


def test_a_candidate_is_read_with_its_section() -> None:
    candidate = parse_candidate({"candidate": LINE, "sdpMid": "0", "sdpMLineIndex": 0})
    assert candidate is not None
    assert (candidate.ip, candidate.port, candidate.sdpMid) == ("192.0.2.7", 5000, "0")


@pytest.mark.parametrize(
    "given",
    [
        None,
        "candidate",
        {},
        {"candidate": ""},
        {"candidate": 5, "sdpMid": "0"},
        {"candidate": LINE},
        {"candidate": "candidate:1 1 udp", "sdpMid": "0"},
        {"candidate": LINE.replace("5000", "99999999"), "sdpMid": "0"},
        {"candidate": LINE.replace("5000", "-1"), "sdpMid": "0"},
        {"candidate": LINE.replace("5000", "x"), "sdpMid": "0"},
        {"candidate": LINE + " x" * 1_000, "sdpMid": "0"},
    ],
)
def test_what_is_no_usable_candidate_is_none(given: object) -> None:
    assert parse_candidate(given) is None


def test_figures_of_links_add_up_and_the_newest_quality_counts() -> None:
    total = PeerStats(in_bytes=5, in_packets=1, loss=0.5) + PeerStats(in_bytes=7, loss=0.1)
    assert total == PeerStats(in_bytes=12, in_packets=1, loss=0.1)


def test_servers_come_from_the_call_and_from_nowhere_else() -> None:
    [turn] = ice_servers_of([{"urls": ["turn:turn.example:3478"], "username": "u"}])
    assert (turn.urls, turn.username, turn.credential) == (["turn:turn.example:3478"], "u", None)
    assert ice_servers_of([]) == []


async def test_an_offer_holds_its_candidates_and_none_of_a_public_stun_server() -> None:
    link = Link(1, [], Source())
    sdp = await link.make_offer()
    await link.close()
    assert "a=candidate:" in sdp
    assert "typ srflx" not in sdp
    assert ufrag_of(sdp)


async def test_a_link_for_the_relay_alone_names_no_address_of_this_host() -> None:
    link = Link(1, [], Source(), relay_only=True)
    offer = await link.make_offer()
    assert "a=candidate:" not in offer
    assert link.pair_types() is None
    assert not link.relayed()
    await link.close()
