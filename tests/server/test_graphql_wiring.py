"""GraphQL in a whole server: real jobs on the real queue, a real Redis, real figures."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

from tests.end_to_end.driver import connect_call
from tests.server.running import Running, development, running

Json = dict[str, Any]
WAIT_S = 10.0


async def ask(there: Running, session: Json, query: str, **variables: object) -> Json:
    """`data`; nothing may have gone wrong."""
    body = {"query": query, "variables": variables}
    status, answer = await there.site.ask(session, "POST", "/graphql", body)
    assert (status, answer.get("errors")) == (200, None), answer
    data: Json = answer["data"]
    return data


async def test_a_job_that_is_added_is_done_and_counted(dsn: str, tmp_path: Path) -> None:
    done = """{ counters(prefix: "talktime_jobs_done_total") {
        items { value labels { name value } } } }"""
    wanted = {"name": "name", "value": "hello_job"}
    async with running(dsn, development(tmp_path)) as there:
        ada = await there.site.login("ada@demo.talktime")
        assert await ask(there, ada, 'mutation { addJob(message: "Hello") }') == {"addJob": True}
        async with asyncio.timeout(WAIT_S):
            while True:
                items = (await ask(there, ada, done))["counters"]["items"]
                if any(wanted in each["labels"] and each["value"] == 1 for each in items):
                    break


async def test_redis_is_asked_where_there_is_one_and_missed_where_not(
    dsn: str, tmp_path: Path, redis_url: str
) -> None:
    async with running(dsn, development(tmp_path)) as there:
        ada = await there.site.login("ada@demo.talktime")
        said = (await ask(there, ada, "{ redisPing }"))["redisPing"]
        assert "REDIS_URL is not set" in said
        mia = await there.site.login("mia@demo.talktime")
        status, answer = await there.site.ask(mia, "POST", "/graphql", {"query": "{ hello }"})
        assert (status, answer["error"]) == (403, "FORBIDDEN")
    config = development(tmp_path, redis_url=redis_url, redis_prefix=f"{uuid4().hex[:8]}:")
    async with running(dsn, config) as there:
        ada = await there.site.login("ada@demo.talktime")
        assert await ask(there, ada, "{ redisPing }") == {"redisPing": "PONG"}


async def test_a_live_call_is_seen_with_its_node_and_money(dsn: str, tmp_path: Path) -> None:
    query = """{ liveCalls { total items {
        id node state currency holdMinor caller { name } callee { name } } } }"""
    async with running(dsn, development(tmp_path)) as there:
        ada = await there.site.login("ada@demo.talktime")
        mia, kai = [
            await there.site.device(await there.site.login(f"{name}@demo.talktime"), name)
            for name in ("mia", "kai")
        ]
        call = await connect_call(mia, kai)
        page = (await ask(there, ada, query))["liveCalls"]
        assert page["total"] == 1
        [shown] = page["items"]
        assert shown["id"] == call
        assert (shown["node"], shown["currency"]) == (there.server.config.node_name, "PTS")
        assert (shown["caller"]["name"], shown["callee"]["name"]) == ("Mia", "Kai")
        assert shown["holdMinor"] > 0
        [node] = (await ask(there, ada, "{ nodes { name state calls } }"))["nodes"]
        assert node == {"name": there.server.config.node_name, "state": "live", "calls": 1}
        await mia.ok("call_end", call)
