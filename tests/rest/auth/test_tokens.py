from __future__ import annotations

import time
from uuid import uuid4

import pytest

from rest.auth.tokens import TokenKeys, new_refresh, refresh_hash
from signalling.codes import Code, Refused
from tests.rest.harness import SECRET


def test_a_token_says_who_and_until_when(keys: TokenKeys) -> None:
    user, session, now = uuid4(), uuid4(), int(time.time())
    claims = keys.read(keys.issue(user, session, ["customer", "admin"], now))
    assert (claims.user_id, claims.session_id) == (user, session)
    assert claims.roles == {"customer", "admin"}
    assert (claims.issued_s, claims.expires_s) == (now, now + 900)


def test_two_tokens_are_never_the_same(keys: TokenKeys) -> None:
    user, session, now = uuid4(), uuid4(), int(time.time())
    assert keys.issue(user, session, [], now) != keys.issue(user, session, [], now)


def test_an_old_token_has_expired(keys: TokenKeys) -> None:
    token = keys.issue(uuid4(), uuid4(), [], int(time.time()) - 901)
    with pytest.raises(Refused) as refused:
        keys.read(token)
    assert refused.value.code is Code.TOKEN_EXPIRED


def test_a_short_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        TokenKeys("short")


def test_the_successor_depends_on_the_token_and_the_secret(keys: TokenKeys) -> None:
    one, other = new_refresh(), new_refresh()
    assert one != other
    assert len(one) == len(keys.next_refresh(one)) == 43
    assert keys.next_refresh(one) == TokenKeys(SECRET).next_refresh(one)
    assert keys.next_refresh(one) != keys.next_refresh(other)
    assert keys.next_refresh(one) != TokenKeys(SECRET[::-1]).next_refresh(one)


def test_a_refresh_token_is_kept_as_a_hash() -> None:
    assert len(refresh_hash(new_refresh())) == 32
