"""The routes of accounts, and what they asked of the rest of the server."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

import pytest

from rest.account.routes import AccountRoutes
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import CURRENCY, FakeClock, Freshness, Rest


@dataclass
class Account:
    """`left` are the users whose calls were to end, `ended` the sessions."""

    rest: Rest
    left: list[UUID] = field(default_factory=list)
    ended: list[UUID] = field(default_factory=list)
    freshness: Freshness = field(default_factory=Freshness)

    async def leave_call(self, user_id: UUID) -> None:
        self.left.append(user_id)

    def end_session(self, session_id: UUID) -> None:
        self.rest.sessions.revoke(session_id)
        self.ended.append(session_id)


@pytest.fixture
async def account(start: Start, pool: Pool, clock: FakeClock) -> Account:
    async def leave_call(user_id: UUID) -> None:
        await there.leave_call(user_id)

    freshness = Freshness()
    routes = AccountRoutes(
        pool,
        currency=CURRENCY,
        clock=clock,
        leave_call=leave_call,
        end_session=lambda session_id: there.end_session(session_id),
        check_fresh=freshness.check,
    )
    there = Account(await start(routes), freshness=freshness)
    return there
