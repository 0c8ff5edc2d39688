"""What operators did, and the nodes, for admins to read."""

from __future__ import annotations

import pytest

from rest.operators.record_routes import RecordRoutes
from storage import audit
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Person, Rest
from tests.rest.operators.desk import ADMIN
from tests.storage.world import make_node

AUDIT, NODES = "/operators/audit", "/operators/nodes"


@pytest.fixture
async def rest(start: Start, pool: Pool) -> Rest:
    return await start(RecordRoutes(pool, lease_ms=15_000))


@pytest.fixture
async def ada(rest: Rest) -> Person:
    return await rest.person("Ada", roles=ADMIN)


async def test_the_audit_log_is_read_by_who_did_what_to_whom(
    rest: Rest, ada: Person, pool: Pool
) -> None:
    eve = await rest.person("Eve", roles=ADMIN)
    target = new_id()
    async with pool.acquire() as conn:
        for actor, action in ((ada, "user.suspend"), (eve, "user.restore")):
            await audit.record(
                conn,
                actor=actor.id,
                action=action,
                target_type="user",
                target_id=target if actor is ada else eve.id,
                reason="because",
                details={"sessionsEnded": 2},
            )
    for query, names in (
        ("", ["Eve", "Ada"]),
        (f"actor={ada.id}", ["Ada"]),
        ("action=user.restore", ["Eve"]),
        (f"targetId={target}", ["Ada"]),
        (f"actor={ada.id}&action=user.restore", []),
    ):
        answer = await rest.call("GET", f"{AUDIT}?{query}", by=ada, status=200)
        assert [each["actorName"] for each in answer.body["items"]] == names, query
        assert answer.body["total"] == len(names)
    answer = await rest.call("GET", f"{AUDIT}?limit=1&offset=1", by=ada, status=200)
    (line,) = answer.body["items"]
    assert (line["actor"], line["action"], line["reason"]) == (
        str(ada.id),
        "user.suspend",
        "because",
    )
    assert (line["targetType"], line["details"]) == ("user", {"sessionsEnded": 2})


async def test_nodes_are_shown_the_youngest_first(rest: Rest, ada: Person, pool: Pool) -> None:
    async with pool.acquire() as conn:
        old, young = await make_node(conn), await make_node(conn, "second")
        await conn.execute(
            "update node set fenced = true, left_at = now() where epoch = $1", old.epoch
        )
    answer = await rest.call("GET", NODES, by=ada, status=200)
    shown = [
        (each["epoch"], each["name"], each["alive"], each["fenced"], each["calls"])
        for each in answer.body["items"]
    ]
    assert shown == [
        (young.epoch, "second", True, False, 0),
        (old.epoch, "main", False, True, 0),
    ]
    assert answer.body["items"][1]["leftAt"] is not None


async def test_wrong_filters_name_their_field(rest: Rest, ada: Person) -> None:
    for query, field in (
        ("actor=ada", "actor"),
        ("action=!", "action"),
        ("targetId=1", "targetId"),
    ):
        answer = await rest.call("GET", f"{AUDIT}?{query}", by=ada, status=400)
        assert (answer.error, answer.body["details"]["field"]) == ("INVALID_FILTER", field)


async def test_others_read_nothing(rest: Rest) -> None:
    bob = await rest.person("Bob")
    for path in (AUDIT, NODES):
        assert (await rest.call("GET", path, by=bob, status=403)).error == "FORBIDDEN"
