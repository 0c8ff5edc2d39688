"""The payout routes, and providers whose earnings can be taken out."""

from __future__ import annotations

import pytest

from rest.http.idempotency import HEADER, Idempotency
from rest.wallet.payout_desk import PayoutDesk
from rest.wallet.payout_routes import PayoutRoutes
from rest.wallet.routes import WalletRoutes
from storage import earnings, ledger
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import CURRENCY, Answer, Freshness, Person, Rest
from tests.storage.world import give

MINIMUM = 100
WEEK_S = 7 * 86_400


@pytest.fixture
def freshness() -> Freshness:
    return Freshness()


@pytest.fixture
async def rest(start: Start, pool: Pool, freshness: Freshness) -> Rest:
    idempotency = Idempotency(pool)
    payouts = PayoutRoutes(
        pool,
        idempotency=idempotency,
        currency=CURRENCY,
        release_after_s=WEEK_S,
        amount_min=MINIMUM,
        check_fresh=freshness.check,
    )
    desk = PayoutDesk(pool, idempotency=idempotency)
    return await start(WalletRoutes(pool, currency=CURRENCY), payouts, desk)


@pytest.fixture
async def ann(rest: Rest) -> Person:
    return await rest.person()


@pytest.fixture
async def kai(rest: Rest) -> Person:
    """A provider with 1000 of available earnings."""
    person = await rest.person("Kai", roles=("customer", "companion"))
    await earn(rest, person, 1_000)
    return person


@pytest.fixture
async def ada(rest: Rest) -> Person:
    return await rest.person("Ada", roles=("customer", "admin"))


async def earn(rest: Rest, person: Person, amount: int, *, release: bool = True) -> None:
    async with rest.pool.acquire() as conn:
        accounts = await ledger.open_accounts(conn, person.id, CURRENCY)
        await give(conn, accounts[earnings.PENDING], amount)
        if release:
            await earnings.release_due(conn, delay_s=0)


async def funds(rest: Rest, person: Person) -> int:
    """What is available of the person's earnings."""
    async with rest.pool.acquire() as conn:
        found: int = await conn.fetchval(
            "select posted from account where owner = $1 and kind = $2",
            person.id,
            earnings.AVAILABLE,
        )
    return found


async def ask(
    rest: Rest,
    person: Person,
    amount: int,
    *,
    note: str | None = None,
    key: str | None = None,
    status: int | None = 201,
) -> Answer:
    """Ask for a payout."""
    return await rest.call(
        "POST",
        "/wallet/payouts",
        by=person,
        json={"amount": amount, "destination": f"DE89 {new_id().hex[:4] if key is None else key}"}
        | ({} if note is None else {"note": note}),
        headers={} if key is None else {HEADER: key},
        status=status,
    )
