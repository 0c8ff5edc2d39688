"""A running server, and sessions that are ended, or too old, behind its back."""

from pathlib import Path
from uuid import UUID

from server.verifying import restore_person, suspend_person
from storage import credentials
from storage.pool import Pool
from tests.end_to_end.driver import Json
from tests.server.running import development, running

MIA, KAI, ADA = "mia@demo.talktime", "kai@demo.talktime", "ada@demo.talktime"


async def test_a_session_revoked_by_another_process_loses_its_sockets_and_its_token(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        mia = await site.login(MIA)
        phone = await site.device(mia, "phone")
        async with pool.acquire() as conn:
            [ended] = await credentials.revoke_sessions_of(
                conn, UUID(mia["user"]["id"]), why="elsewhere", now_ms=there.server.clock()
            )
        there.server.revocations.kick()  # Else it would be up to 10 s.
        await phone.closed()
        assert phone.close_code == 4504
        assert not there.server.sessions.is_live(ended)
        assert (await site.ask(mia, "GET", "/auth/me", {}))[0] == 401


async def test_a_token_of_an_old_log_in_neither_ends_the_account_nor_empties_it(
    dsn: str, pool: Pool, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        kai = await site.login(KAI)
        await pool.execute("update session set created_at = created_at - interval '11 minutes'")
        asked: Json = {"amount": 1_000, "destination": "IBAN"}
        for method, path, body in (
            ("DELETE", "/user/delete", {}),
            ("POST", "/wallet/payouts", asked),
        ):
            status, refused = await site.ask(kai, method, path, body)
            assert (status, refused["error"]) == (403, "FRESH_LOGIN_REQUIRED"), path
        kai = await site.login(KAI)
        status, refused = await site.ask(kai, "POST", "/wallet/payouts", asked)
        assert (status, refused["error"]) == (402, "INSUFFICIENT_FUNDS")
        assert (await site.ask(kai, "DELETE", "/user/delete", {}))[0] == 200


async def test_who_is_suspended_is_out_until_restored(dsn: str, pool: Pool, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        mia = await site.login(MIA)
        phone = await site.device(mia, "phone")
        assert await suspend_person(dsn, MIA) == 1
        there.server.revocations.kick()  # Else it would be up to 10 s.
        await phone.closed()
        assert phone.close_code == 4504
        assert (await site.ask(mia, "GET", "/auth/me", {}))[0] == 401
        await restore_person(dsn, MIA)
        assert (await site.ask(mia, "GET", "/auth/me", {}))[0] == 401, "the old session stays ended"
        await site.device(await site.login(MIA), "phone")


async def test_an_admin_suspends_somebody_whose_sockets_close_at_once(
    dsn: str, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        mia, ada = await site.login(MIA), await site.login(ADA)
        path = f"/operators/users/{mia['user']['id']}"
        phone = await site.device(mia, "phone")
        status, shown = await site.ask(ada, "POST", f"{path}/suspend", {"reason": "Rude."})
        assert (status, shown["sessionsEnded"]) == (200, 1)
        await phone.closed()
        assert phone.close_code == 4504
        assert (await site.ask(mia, "GET", "/auth/me", {}))[0] == 401
        assert (await site.ask(ada, "POST", f"{path}/restore", {"reason": "Sorry."}))[0] == 200
        tablet = await site.device(await site.login(MIA), "tablet")
        status, ended = await site.ask(ada, "DELETE", f"{path}/sessions?reason=Lost", {})
        assert (status, ended["ended"]) == (200, 1)
        await tablet.closed()
        assert tablet.close_code == 4504
