"""`talktime ledger verify` and `talktime user create`, without their processes."""

from pathlib import Path

import pytest

from server.config import Config
from server.people import grant, make_user
from server.verifying import create_person, verify_books
from storage import credentials, providers, wallet
from storage.pool import Connection, Pool
from storage.verify import RULES
from tests.server.running import development


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return development(tmp_path)


async def with_money(conn: Connection) -> None:
    user_id = await make_user(conn, "Ann", "ann@example.org", "hash", "PTS")
    await grant(conn, user_id, 500, "PTS", "grant:ann")


async def test_good_books_are_shown_with_what_was_checked(
    dsn: str, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await with_money(conn)
    assert await verify_books(dsn)
    said = " ".join(capsys.readouterr().out.split())
    assert "the books hold" in said
    for rule in RULES:
        assert rule.name.split()[0] in said


async def test_a_coin_that_came_from_nowhere_is_found_and_named(
    dsn: str, pool: Pool, capsys: pytest.CaptureFixture[str]
) -> None:
    async with pool.acquire() as conn, conn.transaction():
        await with_money(conn)
        await conn.execute("set local session_replication_role = replica")
        await conn.execute("update account set posted = posted + 1 where kind = 'call_credits'")
    assert not await verify_books(dsn)
    said = " ".join(capsys.readouterr().out.split())
    assert "a balance is the sum of its transfers:" in said
    assert "all accounts of a currency sum to zero:" in said
    assert said.endswith("faults")


async def test_a_provider_with_a_price_and_money_can_be_made(
    dsn: str, pool: Pool, config: Config
) -> None:
    user_id = await create_person(
        config, dsn, "  Kai  ", "KAI@Example.org", "pass-word-1", 120, 500
    )
    async with pool.acquire() as conn:
        login = await credentials.read_login(conn, email="kai@example.org")
        provider = await providers.read_provider(conn, user_id)
        balance = await wallet.read_balance(conn, user_id, "PTS")
    assert login is not None
    assert login.user_id == user_id
    assert provider is not None
    assert (provider.display_name, provider.price_audio_minor) == ("Kai", 120)
    assert balance is not None
    assert balance.available_minor == 500


@pytest.mark.parametrize(
    ("name", "email", "password"),
    [
        ("", "ann@example.org", "pass-word-1"),
        ("Ann", "no address", "pass-word-1"),
        ("Ann", "ann@example.org", "short"),
    ],
)
async def test_what_is_wrong_is_said_and_nobody_is_made(
    dsn: str, pool: Pool, config: Config, name: str, email: str, password: str
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        await create_person(config, dsn, name, email, password, None, 0)
    assert await pool.fetchval("select count(*) from users") == 0


async def test_an_address_that_is_taken_is_said_and_changes_nothing(
    dsn: str, pool: Pool, config: Config
) -> None:
    await create_person(config, dsn, "Ann", "ann@example.org", "pass-word-1", None, 100)
    with pytest.raises(ValueError, match="address"):
        await create_person(config, dsn, "Ann", "ann@example.org", "pass-word-2", None, 100)
    assert await pool.fetchval("select count(*) from operation") == 1


@pytest.mark.parametrize(
    ("price", "grant_minor"), [(-1, 0), (1_000_000_001, 0), (None, -5), (120, 1_000_000_001)]
)
async def test_amounts_below_zero_are_refused(
    dsn: str, pool: Pool, config: Config, price: int | None, grant_minor: int
) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        await create_person(
            config, dsn, "Ann", "ann@example.org", "pass-word-1", price, grant_minor
        )
    assert await pool.fetchval("select count(*) from users") == 0


async def test_an_admin_is_made_by_the_operator_only(dsn: str, pool: Pool, config: Config) -> None:
    for name, admin in (("Ann", True), ("Bob", False)):
        mail = f"{name.lower()}@example.org"
        await create_person(config, dsn, name, mail, "pass-word-1", None, 0, admin=admin)
    rows = await pool.fetch("select name, 'admin' = any (roles) as admin from users")
    assert {row["name"]: row["admin"] for row in rows} == {"Ann": True, "Bob": False}
