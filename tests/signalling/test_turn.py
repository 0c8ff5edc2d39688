"""Relay credentials as coturn's shared-secret scheme expects them."""

import base64
import hashlib
import hmac
from uuid import UUID

from msgspec import UNSET

from signalling.turn import TurnTerms, ice_servers

USER, OTHER, CALL = UUID(int=1), UUID(int=2), UUID(int=3)
NOW_MS = 1_700_000_000_500
TERMS = TurnTerms(
    stun_urls=("stun:a",), turn_urls=("turn:b", "turns:b"), secret="s3cret", ttl_ms=600_000
)


def test_the_name_ends_with_its_time_and_the_password_is_its_hmac() -> None:
    stun, turn = ice_servers(TERMS, USER, CALL, NOW_MS)
    assert (stun.urls, stun.username, stun.credential) == (["stun:a"], UNSET, UNSET)
    assert turn.urls == ["turn:b", "turns:b"]
    assert turn.username == f"1700000600:{USER}:{CALL}"
    digest = hmac.new(b"s3cret", str(turn.username).encode(), hashlib.sha1).digest()
    assert base64.b64decode(str(turn.credential)) == digest


def test_each_user_and_call_has_credentials_of_its_own() -> None:
    made = {
        str(ice_servers(TERMS, user, call, NOW_MS)[1].credential)
        for user in (USER, OTHER)
        for call in (CALL, UUID(int=4))
    }
    assert len(made) == 4


def test_without_a_secret_no_relay_is_named() -> None:
    terms = TurnTerms(stun_urls=("stun:a",), turn_urls=("turn:b",))
    assert [server.urls for server in ice_servers(terms, USER, CALL, NOW_MS)] == [["stun:a"]]


def test_a_deployment_without_servers_names_none() -> None:
    assert ice_servers(TurnTerms(secret="s"), USER, CALL, NOW_MS) == []
