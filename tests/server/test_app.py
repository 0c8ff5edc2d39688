"""The server as a whole: what it claims and gives back, and how its parts hear of each other."""

import asyncio
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from server.app import Server
from storage.nodes import NodeTaken
from storage.pool import Pool
from tests.end_to_end.driver import Json, connect_call
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.rest.account.drawing import drawn
from tests.server.running import development, running

MIA, KAI = "mia@demo.talktime", "kai@demo.talktime"


async def connections(dsn: str) -> int:
    """Of anybody else to this database."""
    conn: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(dsn)
    try:
        count: int = await conn.fetchval(
            "select count(*) from pg_stat_activity "
            "where datname = current_database() and pid <> pg_backend_pid()"
        )
    finally:
        await conn.close()
    return count


def named_tasks() -> list[str]:
    """The tasks that servers live by; those without a name come and go."""
    names = [task.get_name() for task in asyncio.all_tasks()]
    return sorted(name for name in names if not name.startswith("Task-"))


async def only_left(dsn: str, count: int, *, beside: Pool | None = None) -> None:
    """PostgreSQL notices a moment later that somebody is gone. A pool `beside` may grow."""
    for _ in range(200):
        if await connections(dsn) - (beside.get_size() if beside else 0) <= count:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"{await connections(dsn)} connections are left")


async def test_a_server_that_was_stopped_leaves_no_task_and_no_connection(
    dsn: str, tmp_path: Path
) -> None:
    before = asyncio.all_tasks()
    for _ in range(2):  # The name is free again, and what is there already is not made twice.
        async with running(dsn, development(tmp_path)) as there:
            mia = await there.site.login(MIA)
            assert (await there.site.get(mia, "/wallet/balance"))["balance"] == 1_000
    left = {task for task in asyncio.all_tasks() - before if not task.done()}
    assert left == set()
    await only_left(dsn, 0)


async def test_a_start_that_fails_gives_everything_back(dsn: str, tmp_path: Path) -> None:
    config = development(tmp_path)
    async with running(dsn, config) as there:
        pool, before = there.server.pool, named_tasks()
        others = await connections(dsn) - pool.get_size()
        with pytest.raises(NodeTaken, match="another process runs as node 'main'"):
            await Server(config, dsn).start()
        assert named_tasks() == before
        await only_left(dsn, others, beside=pool)


async def test_two_nodes_of_different_names_live_side_by_side(dsn: str, tmp_path: Path) -> None:
    async with (
        running(dsn, development(tmp_path)),
        running(dsn, development(tmp_path, node_name="second")) as second,
        second.site.http.get(f"{second.site.url}/health") as answer,
    ):
        assert (await answer.json())["node"] == "second"


async def test_while_it_drains_calls_are_left_to_others_and_nobody_new_comes_in(
    dsn: str, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        caller = await site.device(await site.login(MIA), "a")
        callee = await site.device(await site.login(KAI), "b")
        call = await connect_call(caller, callee)
        assert await there.server.drain() == 1
        for device in (caller, callee):
            await device.closed()
            assert (device.close_code, device.all("call_ended")) == (1012, [])
        async with site.http.get(f"{site.url}/ready") as answer:
            assert (answer.status, (await answer.json())["draining"]) == (503, True)
        async with site.http.get(f"{site.url}/ws") as answer:
            assert answer.status == 503
        assert await left_over(dsn) == {"slots": 2, "held": 120, "meters": 1, "calls": 1}
    await assert_books_hold(dsn)
    async with running(dsn, development(tmp_path)) as there:
        assert there.server.recovered == 1
        device = await there.site.device(await there.site.login(MIA), "a")
        final = (await device.ok("call_end", call))["final"]
        assert (final["total"], final["settled"]) == (120, True)
        assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_a_server_whose_claim_was_taken_ends_and_touches_no_money_any_more(
    dsn: str, pool: Pool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stopped = asyncio.Event()
    async with running(dsn, development(tmp_path, beat_ms=50)) as there:
        there.server.stop_now = stopped.set  # type: ignore[method-assign]  # the runner's hook
        site = there.site
        caller = await site.device(await site.login(MIA), "a")
        callee = await site.device(await site.login(KAI), "b")
        await connect_call(caller, callee)
        await pool.execute("update node set fenced = true")
        async with asyncio.timeout(10):
            await stopped.wait()
        status, body = await site.ask(
            await site.login("noah@demo.talktime"),
            "POST",
            "/calls",
            {"toUserId": (await site.login("lea@demo.talktime"))["user"]["id"]},
        )
        assert (status, body["error"]) == (503, "UNAVAILABLE")
    assert "this node was fenced" in caplog.text
    assert (await left_over(dsn))["meters"] == 1, "for whoever has the claim now"
    await assert_books_hold(dsn)
    async with running(dsn, development(tmp_path)) as there:
        assert there.server.recovered == 1
        device = await there.site.device(await there.site.login(KAI), "b")
        await device.ok("call_end", device.all("welcome")[0]["data"]["call"]["id"])
        assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_a_logout_closes_the_sockets_of_that_login_alone(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        one, other = await site.login(MIA), await site.login(MIA)
        phone, tablet = await site.device(one, "phone"), await site.device(other, "tablet")
        status, _ = await site.ask(one, "POST", "/auth/logout", {})
        assert status == 200
        await phone.closed()
        assert phone.close_code == 4504
        assert (await tablet.ok("presence_watch", directory=True)) == {}
        async with site.http.ws_connect(f"{site.url}/ws") as ws:
            data = {"token": one["accessToken"], "device": {"id": "phone"}, "protocol": 1}
            await ws.send_json({"type": "hello", "data": data})
            assert (await ws.receive()).data == 4401


async def test_the_last_log_out_of_somebody_in_a_call_hangs_up(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        one, other = await site.login(MIA), await site.login(MIA)
        caller = await site.device(one, "a")
        callee = await site.device(await site.login(KAI), "b")
        await connect_call(caller, callee)
        assert (await site.ask(other, "POST", "/auth/logout", {}))[0] == 200
        assert not callee.all("call_ended"), "another session is left"
        assert (await site.ask(one, "POST", "/auth/logout", {}))[0] == 200
        ended = await callee.event("call_ended")
        assert (ended["reason"], ended["by"], ended["final"]["settled"]) == (
            "hangup",
            "caller",
            True,
        )
        await caller.closed()
        assert caller.close_code == 4504
        assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_who_deletes_the_account_in_a_call_pays_and_is_gone(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        mia = await site.login(MIA)
        caller = await site.device(mia, "a")
        callee = await site.device(await site.login(KAI), "b")
        call = await connect_call(caller, callee)
        status, body = await site.ask(mia, "DELETE", "/user/delete", {})
        assert (status, body["error"]) == (409, "WALLET_NOT_EMPTY")
        assert body["details"] == {"balance": {"PTS": 880}}, "the call is paid first"
        status, body = await site.ask(mia, "DELETE", "/user/delete?forfeit=true", {})
        assert (status, body) == (200, {"success": True})
        await callee.event("call_ended")
        await caller.closed()
        assert caller.close_code == 4504
        assert (await site.ask(mia, "GET", "/user/me", {}))[0] == 401
        async with site.http.ws_connect(f"{site.url}/ws") as ws:
            data = {"token": mia["accessToken"], "device": {"id": "a"}, "protocol": 1}
            await ws.send_json({"type": "hello", "data": data})
            assert (await ws.receive()).data == 4401
        kai = await site.login(KAI)
        kept = (await site.get(kai, f"/calls/{call}"))["call"]
        assert "Deleted user" in str(kept)
        assert "Mia" not in str(kept)
    await assert_books_hold(dsn)


async def test_a_picture_goes_up_and_comes_down(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        mia = await site.login(MIA)
        form = aiohttp.FormData()
        form.add_field("avatar", drawn("PNG", (80, 80)), filename="me.png")
        headers = {"Authorization": f"Bearer {mia['accessToken']}"}
        url = f"{site.url}/user/avatar"
        async with site.http.put(url, data=form, headers=headers) as answer:
            assert answer.status == 200
            avatar = (await answer.json())["avatarUrl"]
        async with site.http.get(site.url + avatar) as answer:
            assert (answer.status, answer.content_type) == (200, "image/webp")
        assert (tmp_path / "objects" / avatar.removeprefix("/media/")).exists()


async def test_a_log_in_by_code_as_an_app_does_it(
    dsn: str, pool: Pool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(dsn, development(tmp_path, single_session=True)) as there:
        site = there.site

        async def log_in() -> Json:
            body: Json = {"phone": "+1 202 555 0123"}
            async with site.http.post(f"{site.url}/otp/send", json=body) as answer:
                code = (await answer.json())["devCode"]
            body |= {"otp": code, "role": "companion", "name": "Pat"}
            async with site.http.post(f"{site.url}/otp/verify", json=body) as answer:
                session: Json = await answer.json()
            return session

        first = await log_in()
        assert first["user"]["phone"] == "+12025550123"
        assert first["user"]["role"] == "companion"
        phone = await site.device(first, "phone")
        second = await log_in()
        assert second["user"]["id"] == first["user"]["id"]
        await phone.closed()
        assert phone.close_code == 4504
        assert len((await site.get(second, "/auth/sessions"))["sessions"]) == 1

        body: Json = {"phone": "+12125550123"}
        async with site.http.post(f"{site.url}/otp/send", json=body) as answer:
            code = (await answer.json())["devCode"]
        said = ""
        async with asyncio.timeout(10):
            while f"SMS to +12125550123: {code} is your code" not in said:
                await asyncio.sleep(0.02)
                said += capsys.readouterr().out


async def test_a_session_ended_from_another_device_loses_its_sockets(
    dsn: str, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        one, other = await site.login(MIA), await site.login(MIA)
        phone = await site.device(one, "phone")
        sessions = (await site.get(other, "/auth/sessions"))["sessions"]
        assert len(sessions) == 2
        (target,) = [each["id"] for each in sessions if not each["current"]]
        status, _ = await site.ask(other, "DELETE", f"/auth/sessions/{target}")
        assert status == 200
        await phone.closed()
        assert phone.close_code == 4504


async def test_a_provider_who_goes_on_a_break_by_rest_is_seen_by_who_watches(
    dsn: str, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        mia, kai = await site.login(MIA), await site.login(KAI)
        watcher = await site.device(mia, "phone")
        await site.device(kai, "desk")
        await watcher.ok("presence_watch", users=[kai["user"]["id"]])
        seen = await watcher.event("presence_updated")
        assert seen["presence"] == "online"
        status, body = await site.ask(
            kai, "PUT", "/otomo/status", {"isOnline": True, "isAvailable": False}
        )
        assert status == 200, body
        await watcher.until(
            lambda: [e["data"]["presence"] for e in watcher.all("presence_updated")][-1] == "break"
        )


async def test_a_provider_is_told_the_same_presence_everywhere(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        kai = await site.login(KAI)

        async def told() -> tuple[str, str]:
            _, me = await site.ask(kai, "GET", "/auth/me")
            _, own = await site.ask(kai, "GET", "/otomo/me")
            return me["user"]["status"], own["otomo"]["presence"]

        assert kai["user"]["status"] == "offline"
        assert await told() == ("offline", "offline")
        await site.device(kai, "desk")
        assert await told() == ("online", "online")


async def test_a_call_by_request_says_where_the_socket_is(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        mia, kai = await site.login(MIA), await site.login(KAI)
        status, body = await site.ask(mia, "POST", "/calls", {"toUserId": kai["user"]["id"]})
        assert status == 201, body
        assert body["signalingUrl"] == site.url.replace("http://", "ws://") + "/ws"
        async with site.http.ws_connect(body["signalingUrl"], protocols=["talktime.v1"]):
            pass


async def test_a_promise_about_money_reaches_devices(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        mia = await site.login(MIA)
        phone = await site.device(mia, "phone")
        status, opened = await site.ask(
            mia, "POST", "/payments", {"amount": 500, "method": "sandbox"}
        )
        assert status == 201
        url = opened["payment"]["checkoutUrl"]
        async with site.http.post(url, json={"outcome": "pay"}) as answer:
            assert answer.status == 200
        updated = await phone.event("wallet_updated")
        assert (updated["reason"], updated["balance"]) == ("topup", 1_500)


async def test_after_a_call_both_hear_what_it_came_to_and_reading_it_is_told_to_all_devices(
    dsn: str, tmp_path: Path
) -> None:
    async with running(dsn, development(tmp_path, currency_exponent=2)) as there:
        site = there.site
        mia, kai = await site.login(MIA), await site.login(KAI)
        caller, callee = await site.device(mia, "a"), await site.device(kai, "b")
        tablet = await site.device(mia, "tablet")
        call = await connect_call(caller, callee)
        await caller.ok("call_end", call)
        for device, end in ((caller, " with Kai: 1.20 PTS."), (callee, "Mia and earned 0.84 PTS.")):
            told = await device.event("notification")
            assert (told["type"], told["relatedEntityType"]) == ("CALL_SUMMARY", "call")
            assert told["relatedEntityId"] == call
            assert told["message"].endswith(end)
        told = await caller.event("notification")
        status, body = await site.ask(mia, "PATCH", f"/notifications/{told['id']}/read")
        assert (status, body["notification"]["message"]) == (200, told["message"])
        assert await tablet.event("notifications_read") == {"unreadCount": 0}
        # Nobody is there any more: a call that cannot ring is missed all the same.
        await callee.close()
        await caller.ok("call_request", toUserId=kai["user"]["id"])
        back = await site.device(kai, "c")
        missed = await back.event("notification")
        assert (missed["type"], missed["message"]) == ("MISSED_CALL", "You missed a call from Mia.")


async def test_the_gauges_count_what_there_is(dsn: str, tmp_path: Path) -> None:
    async with running(dsn, development(tmp_path)) as there:
        site = there.site
        caller = await site.device(await site.login(MIA), "a")
        callee = await site.device(await site.login(KAI), "b")
        call = await connect_call(caller, callee)
        async with site.http.get(f"{site.url}/metrics") as answer:
            text = await answer.text()
        assert "talktime_ws_connections 2.0" in text
        assert "talktime_calls_active 1.0" in text
        await caller.ok("call_end", call)
        await callee.event("call_ended")
        async with site.http.get(f"{site.url}/metrics") as answer:
            text = await answer.text()
        assert "talktime_calls_active 0.0" in text
        assert 'talktime_calls_ended_total{reason="hangup"} 1.0' in text
