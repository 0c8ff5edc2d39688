"""Who is let in by the door of the sockets, and who is not."""

from __future__ import annotations

import time
from uuid import UUID

import pytest

from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys
from server.doorman import Doorman
from signalling.codes import Code, Refused
from signalling.limits import Rate
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.harness import FakeClock
from tests.storage.world import make_user

KEYS = TokenKeys("an access secret for tests, 32 bytes or more")


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(lambda: 0, access_ttl_s=900)


@pytest.fixture
def doorman(pool: Pool, sessions: Sessions) -> Doorman:
    return Doorman(pool, KEYS, sessions, FakeClock())


async def account(pool: Pool) -> UUID:
    async with pool.acquire() as conn, conn.transaction():
        return (await make_user(conn)).id


def token_of(user_id: UUID, session_id: UUID) -> str:
    return KEYS.issue(user_id, session_id, ["customer"], int(time.time()))


async def refused(doorman: Doorman, token: str) -> Code:
    with pytest.raises(Refused) as caught:
        await doorman.authenticate(token)
    return caught.value.code


async def test_a_token_lets_in_its_user_with_name_and_roles(pool: Pool, doorman: Doorman) -> None:
    user_id, session_id = await account(pool), new_id()
    identity = await doorman.authenticate(token_of(user_id, session_id))
    assert (identity.user_id, identity.session_id) == (user_id, session_id)
    assert identity.roles == {"customer"}
    assert identity.profile.user_id == user_id
    assert identity.profile.name


async def test_an_ended_session_a_strange_token_and_a_gone_account_are_refused(
    pool: Pool, doorman: Doorman, sessions: Sessions
) -> None:
    user_id, session_id = await account(pool), new_id()
    token = token_of(user_id, session_id)
    sessions.revoke(session_id)
    assert await refused(doorman, token) is Code.UNAUTHORIZED
    assert await refused(doorman, "no token at all") is Code.UNAUTHORIZED
    assert await refused(doorman, token_of(new_id(), new_id())) is Code.UNAUTHORIZED


async def test_without_a_database_nobody_is_judged(pool: Pool, doorman: Doorman) -> None:
    token = token_of(await account(pool), new_id())
    pool.terminate()
    assert await refused(doorman, token) is Code.UNAVAILABLE


async def test_one_user_may_not_come_again_and_again_while_others_come(
    pool: Pool, sessions: Sessions
) -> None:
    clock = FakeClock()
    doorman = Doorman(pool, KEYS, sessions, clock, handshakes=Rate(2, 1_000))
    ann, bob = [token_of(await account(pool), new_id()) for _ in range(2)]
    for _ in range(2):
        await doorman.authenticate(ann)
    assert await refused(doorman, ann) is Code.RATE_LIMITED
    await doorman.authenticate(bob)
    clock.move(1_000)
    await doorman.authenticate(ann)
    assert await refused(doorman, ann) is Code.RATE_LIMITED


async def test_without_a_limit_one_user_may(pool: Pool, sessions: Sessions) -> None:
    doorman = Doorman(pool, KEYS, sessions, FakeClock(), handshakes=None)
    ann = token_of(await account(pool), new_id())
    for _ in range(40):
        await doorman.authenticate(ann)
