from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from rest.http.idempotency import HEADER
from storage.ids import new_id
from tests.rest.harness import Person, Rest
from tests.rest.providers.shop import provider, review, talked


@pytest.fixture
async def ann(rest: Rest) -> Person:
    return await rest.person("Ann")


@pytest.fixture
async def kai(rest: Rest) -> Person:
    return await provider(rest, "Kai")


async def scores(rest: Rest, by: Person, path: str) -> list[int]:
    body = (await rest.call("GET", path, by=by, status=200)).body
    return [each["score"] for each in body["items"]]


async def test_a_review_is_posted_and_read_by_both_sides(
    rest: Rest, ann: Person, kai: Person
) -> None:
    path = await talked(rest, ann, kai)
    answer = await rest.call("GET", path, by=kai, status=404)
    assert answer.error == "REVIEW_NOT_FOUND"
    body = {"score": 4, "comment": "  kind<script>alert(1)</script>\nand patient "}
    posted = (await rest.call("POST", path, by=ann, json=body, status=201)).body["review"]
    assert (posted["score"], posted["comment"]) == (4, "kind\nand patient")
    assert (posted["otomoId"], posted["userDisplayName"]) == (str(kai.id), "Ann")
    for reader in (ann, kai):
        assert (await rest.call("GET", path, by=reader, status=200)).body["review"] == posted


async def test_fifty_reviews_of_a_call_at_once_are_one(
    rest: Rest, ann: Person, kai: Person
) -> None:
    path = await talked(rest, ann, kai)
    body = {"score": 5}
    answers = await asyncio.gather(*(rest.call("POST", path, by=ann, json=body) for _ in range(50)))
    assert Counter(answer.status for answer in answers) == {201: 1, 409: 49}
    assert {each.error for each in answers if each.status == 409} == {"REVIEW_ALREADY_POSTED"}
    page = (await rest.call("GET", f"/otomo/{kai.id}", by=ann, status=200)).body["otomo"]
    assert (page["rating"], page["reviewCount"]) == (5.0, 1)


async def test_a_repeated_post_gets_the_first_answer(rest: Rest, ann: Person, kai: Person) -> None:
    path = await talked(rest, ann, kai)
    headers = {HEADER: "once"}
    body = {"score": 5}
    first = await rest.call("POST", path, by=ann, json=body, headers=headers, status=201)
    again = await rest.call("POST", path, by=ann, json=body, headers=headers, status=201)
    assert again.raw == first.raw
    other = await rest.call("POST", path, by=ann, json={"score": 1}, headers=headers, status=409)
    assert other.error == "IDEMPOTENCY_CONFLICT"
    assert (await rest.call("POST", path, by=ann, json=body, status=409)).error == (
        "REVIEW_ALREADY_POSTED"
    )


@pytest.mark.parametrize("method", ["POST", "PUT", "GET"])
async def test_a_stranger_learns_nothing_of_a_call(
    rest: Rest, ann: Person, kai: Person, method: str
) -> None:
    path = await talked(rest, ann, kai)
    await rest.call("POST", path, by=ann, json={"score": 5}, status=201)
    eve = await provider(rest, "Eve")
    body = None if method == "GET" else {"score": 1}
    real = await rest.call(method, path, by=eve, json=body, status=404)
    none = await rest.call(method, f"/calls/{new_id()}/review", by=eve, json=body, status=404)
    assert real.error == none.error == "CALL_NOT_FOUND"
    assert real.body["message"] == none.body["message"]


async def test_who_may_not_review(rest: Rest, ann: Person, kai: Person) -> None:
    body = {"score": 5}
    path = await talked(rest, ann, kai)
    assert (await rest.call("POST", path, by=kai, json=body, status=403)).error == "FORBIDDEN"
    for call in ({"ended": False}, {"talk_ms": None}):
        path = await talked(rest, ann, kai, **call)
        answer = await rest.call("POST", path, by=ann, json=body, status=409)
        assert answer.error == "CALL_NOT_FINISHED"
    path = await talked(rest, ann, await rest.person("Eve"))
    answer = await rest.call("POST", path, by=ann, json=body, status=404)
    assert answer.error == "OTOMO_NOT_FOUND"
    assert await rest.pool.fetchval("select count(*) from review") == 0


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_SCORE"),
        ({"score": 0}, "INVALID_SCORE"),
        ({"score": 6}, "INVALID_SCORE"),
        ({"score": 4.5}, "INVALID_SCORE"),
        ({"score": "5"}, "INVALID_SCORE"),
        ({"score": True}, "INVALID_SCORE"),
        ({"score": 5, "comment": None}, "INVALID_COMMENT"),
        ({"score": 5, "comment": "x" * 501}, "INVALID_COMMENT"),
        ({"score": 5, "comment": "x" * 4_001}, "INVALID_COMMENT"),
        ({"score": 5, "comment": "a\x1b[31m"}, "INVALID_COMMENT"),
        ({"score": 5, "comment": "a\0"}, "INVALID_COMMENT"),
        ({"score": 5, "otomoId": "x"}, "INVALID_PAYLOAD"),
    ],
)
async def test_wrong_reviews_are_refused(
    rest: Rest, ann: Person, kai: Person, method: str, body: dict[str, object], code: str
) -> None:
    path = await talked(rest, ann, kai)
    answer = await rest.call(method, path, by=ann, json=body, status=400)
    assert answer.error == code
    assert await rest.pool.fetchval("select count(*) from review") == 0


async def test_the_longest_comment_is_kept_whole(rest: Rest, ann: Person, kai: Person) -> None:
    comment = "\u65e5" * 500
    posted = await review(rest, ann, kai, score=1, comment=f" {comment} ")
    assert posted.body["review"]["comment"] == comment


async def test_a_review_can_be_changed_for_a_day(rest: Rest, ann: Person, kai: Person) -> None:
    path = await talked(rest, ann, kai)
    body = {"score": 2, "comment": "second thoughts"}
    answer = await rest.call("PUT", path, by=ann, json=body, status=404)
    assert answer.error == "REVIEW_NOT_FOUND"
    await rest.call("POST", path, by=ann, json={"score": 5}, status=201)
    edited = (await rest.call("PUT", path, by=ann, json=body, status=200)).body["review"]
    assert (edited["score"], edited["comment"]) == (2, "second thoughts")
    assert edited["editedAt"] is not None
    page = (await rest.call("GET", f"/otomo/{kai.id}", by=ann, status=200)).body["otomo"]
    assert (page["rating"], page["reviewCount"]) == (2.0, 1)
    await rest.pool.execute("update review set created_at = now() - interval '25 hours'")
    answer = await rest.call("PUT", path, by=ann, json=body, status=409)
    assert answer.error == "REVIEW_CLOSED"


async def test_the_reviews_of_a_provider_are_sorted_and_paged(
    rest: Rest, ann: Person, kai: Person
) -> None:
    for score in (3, 5, 1):
        await review(rest, ann, kai, score=score)
    path = f"/otomo/{kai.id}/reviews"
    assert await scores(rest, ann, path) == [1, 5, 3]
    assert await scores(rest, ann, f"{path}?sort=highest") == [5, 3, 1]
    assert await scores(rest, ann, f"{path}?sort=lowest") == [1, 3, 5]
    assert await scores(rest, ann, f"/providers/{kai.id}/reviews?limit=1&page=2") == [5]
    page = (await rest.call("GET", f"{path}?limit=1&offset=9", by=ann, status=200)).body
    assert (page["total"], page["items"]) == (3, [])
    answer = await rest.call("GET", f"{path}?sort=oldest", by=ann, status=400)
    assert answer.error == "INVALID_SORT"


async def test_who_is_no_provider_has_no_reviews(rest: Rest, ann: Person) -> None:
    for nobody in (ann.id, new_id()):
        answer = await rest.call("GET", f"/otomo/{nobody}/reviews", by=ann, status=404)
        assert answer.error == "OTOMO_NOT_FOUND"


async def test_providers_see_their_scores(rest: Rest, ann: Person, kai: Person) -> None:
    none = (await rest.call("GET", "/otomo/reviews", by=kai, status=200)).body
    assert none["summary"]["average"] == 0
    for score in (5, 5, 4):
        await review(rest, ann, kai, score=score)
    await review(rest, ann, await provider(rest, "Eve"), score=1)
    own = (
        await rest.call("GET", "/providers/reviews?sort=lowest&limit=1", by=kai, status=200)
    ).body
    assert [each["score"] for each in own["items"]] == [4]
    assert own["total"] == 3
    assert own["summary"] == {
        "average": 4.67,
        "count": 3,
        "histogram": {"5": 2, "4": 1, "3": 0, "2": 0, "1": 0},
    }
