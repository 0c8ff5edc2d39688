from __future__ import annotations

import pytest

from rest.account.block_list import BlockRoutes
from storage.blocks import BLOCKS_MAX
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Rest
from tests.storage.test_blocks import fill


@pytest.fixture
async def rest(start: Start, pool: Pool) -> Rest:
    return await start(BlockRoutes(pool))


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/user/block-list"),
        ("POST", f"/user/block/{new_id()}"),
        ("DELETE", f"/user/block/{new_id()}"),
    ],
)
async def test_without_a_token_there_is_nothing(rest: Rest, method: str, path: str) -> None:
    await rest.call(method, path, status=401)


async def test_a_full_block_list_says_so(rest: Rest) -> None:
    ann, bo = await rest.person("Ann"), await rest.person("Bo")
    async with rest.pool.acquire() as conn:
        await fill(conn, ann.id, BLOCKS_MAX)
    answer = await rest.call("POST", f"/user/block/{bo.id}", by=ann, status=409)
    assert answer.error == "BLOCK_LIST_FULL"
    assert answer.body["details"] == {"max": BLOCKS_MAX}


async def test_a_block_list_is_its_owner_s_alone(rest: Rest) -> None:
    ann, bo, cy = [await rest.person(name) for name in ("Ann", "Bo", "Cy")]
    for other in (bo, cy, bo):
        answer = await rest.call("POST", f"/user/block/{other.id}", by=ann, status=200)
        assert answer.body == {"success": True, "userId": str(other.id), "blocked": True}
    page = (await rest.call("GET", "/user/block-list?limit=1&page=2", by=ann, status=200)).body
    assert (page["total"], page["limit"], page["offset"]) == (2, 1, 1)
    assert [each["name"] for each in page["items"]] == ["Bo"]
    assert (await rest.call("GET", "/user/block-list", by=bo, status=200)).body["total"] == 0
    await rest.call("DELETE", f"/user/block/{cy.id}", by=bo, status=200)
    assert (await rest.call("GET", "/user/block-list", by=ann, status=200)).body["total"] == 2
    await rest.call("DELETE", f"/user/block/{cy.id}", by=ann, status=200)
    await rest.call("DELETE", f"/user/block/{cy.id}", by=ann, status=200)
    assert (await rest.call("GET", "/user/block-list", by=ann, status=200)).body["total"] == 1


async def test_nobody_blocks_themselves_or_a_stranger_to_us(rest: Rest) -> None:
    ann = await rest.person("Ann")
    own = await rest.call("POST", f"/user/block/{ann.id}", by=ann, status=400)
    assert own.error == "INVALID_USER_ID"
    unknown = await rest.call("POST", f"/user/block/{new_id()}", by=ann, status=404)
    assert unknown.error == "USER_NOT_FOUND"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "INVALID_LIMIT"),
        ("limit=101", "INVALID_LIMIT"),
        ("limit=ten", "INVALID_LIMIT"),
        ("offset=-1", "INVALID_OFFSET"),
        ("page=0", "INVALID_PAGE"),
        ("page=1&offset=0", "INVALID_PAGE"),
        ("sort=name", "INVALID_QUERY"),
    ],
)
async def test_pages_have_bounds(rest: Rest, query: str, code: str) -> None:
    ann = await rest.person("Ann")
    answer = await rest.call("GET", f"/user/block-list?{query}", by=ann, status=400)
    assert answer.error == code
