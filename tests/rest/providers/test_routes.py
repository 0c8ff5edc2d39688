from __future__ import annotations

import pytest

from storage.ids import new_id
from tests.rest.harness import FakeClock, Person, Rest
from tests.rest.providers.shop import Presence, provider, review, set_status


async def names(rest: Rest, by: Person, query: str = "") -> list[str]:
    body = (await rest.call("GET", f"/otomo/list{query}", by=by, status=200)).body
    return [each["displayName"] for each in body["items"]]


async def test_the_directory_is_filtered_by_live_presence_and_paged(
    rest: Rest, presence: Presence
) -> None:
    people = [await provider(rest, f"P{n}", genres=["odd" if n % 2 else "even"]) for n in range(6)]
    for person in people[:4]:
        await set_status(rest, person, True, True)
    presence.connected |= {person.id for person in people[:3]}
    presence.in_call.add(people[0].id)
    me = people[5]
    assert set(await names(rest, me)) == {f"P{n}" for n in range(6)}
    assert set(await names(rest, me, "?isOnline=true")) == {"P0", "P1", "P2"}
    assert set(await names(rest, me, "?isOnline=false")) == {"P3", "P4", "P5"}
    assert set(await names(rest, me, "?isOnline=true&genre=even")) == {"P0", "P2"}
    page = (await rest.call("GET", "/otomo/list?limit=4&offset=4", by=me, status=200)).body
    assert (page["total"], page["limit"], page["offset"], len(page["items"])) == (6, 4, 4, 2)
    pages = [await names(rest, me, f"?limit=2&page={n}") for n in (1, 2, 3, 4)]
    assert sorted(name for each in pages for name in each) == [f"P{n}" for n in range(6)]


async def test_the_free_are_those_who_are_online_and_in_no_call(
    rest: Rest, presence: Presence
) -> None:
    free, busy, away, gone = [await provider(rest, f"P{n}") for n in range(4)]
    presence.connected |= {free.id, busy.id, away.id}
    presence.in_call.add(busy.id)
    presence.by_hand[away.id] = "break"
    assert await names(rest, gone, "?isAvailable=true") == ["P0"]
    assert await names(rest, gone, "?isOnline=true&isAvailable=false&sort=newest") == ["P2", "P1"]
    assert set(await names(rest, gone, "?isAvailable=false")) == {"P1", "P2", "P3"}
    assert await names(rest, gone, "?isOnline=false&isAvailable=false") == ["P3"]
    assert await names(rest, gone, "?isOnline=false&isAvailable=true") == []


async def test_each_sort_has_its_order(rest: Rest, presence: Presence) -> None:
    people = [await provider(rest, f"P{n}", pricePerMinute=10 + n % 2) for n in range(3)]
    for person, score in zip(people, (2, 5, 0), strict=True):
        await rest.pool.execute(
            "update provider set rating_sum = $2, rating_count = 1 where user_id = $1",
            person.id,
            score,
        )
    presence.connected.add(people[2].id)
    me = people[0]
    assert await names(rest, me) == await names(rest, me, "?sort=recommended") == ["P2", "P1", "P0"]
    assert await names(rest, me, "?sort=rating") == ["P1", "P0", "P2"]
    assert await names(rest, me, "?sort=newest") == ["P2", "P1", "P0"]
    assert await names(rest, me, "?sort=price_low") == ["P0", "P2", "P1"]
    assert await names(rest, me, "?sort=price_high") == ["P1", "P2", "P0"]


async def test_the_directory_is_searched(rest: Rest) -> None:
    ann = await provider(rest, "Ann", tags=["kind"], pricePerMinute=50)
    await provider(rest, "100%", pricePerMinute=70)
    await rest.pool.execute("update users set gender = 'female' where id = $1", ann.id)
    assert await names(rest, ann, "?q=nn") == ["Ann"]
    assert await names(rest, ann, "?q=%25") == ["100%"]
    assert await names(rest, ann, "?tag=kind") == ["Ann"]
    assert await names(rest, ann, "?gender=female") == ["Ann"]
    assert await names(rest, ann, "?minPrice=51") == ["100%"]
    assert await names(rest, ann, "?minPrice=50&maxPrice=50") == ["Ann"]
    assert await names(rest, ann, "?q=nn&maxPrice=49") == []


async def test_the_directory_knows_ages(rest: Rest, clock: FakeClock) -> None:
    ann = await provider(rest)
    # The clock of the test stands at 15 January 2027.
    await rest.pool.execute("update users set birthday = '2007-01-15'")
    assert await names(rest, ann, "?minAge=20&maxAge=20") == ["Ann"]
    assert await names(rest, ann, "?minAge=21") == []
    listed = (await rest.call("GET", "/providers/list", by=ann, status=200)).body["items"]
    assert listed[0]["age"] == 20
    clock.move(-86_400_000)
    assert await names(rest, ann, "?minAge=20") == []


async def test_a_rating_is_an_average(rest: Rest) -> None:
    ann = await provider(rest)
    await rest.pool.execute("update provider set rating_sum = 14, rating_count = 3")
    detail = (await rest.call("GET", f"/otomo/{ann.id}", by=ann, status=200)).body["otomo"]
    assert (detail["rating"], detail["reviewCount"]) == (4.67, 3)


async def test_a_page_has_the_newest_reviews_and_the_week(rest: Rest) -> None:
    kai, ann = await provider(rest, "Kai"), await rest.person("Ann")
    for n in range(6):
        await review(rest, ann, kai, score=1 + n % 5, comment=f"review {n}")
    hours = {"dayOfWeek": 1, "start": "20:00", "end": "24:00"}
    await rest.call("PUT", "/otomo/schedule", by=kai, json={"items": [hours]}, status=200)
    page = (await rest.call("GET", f"/otomo/{kai.id}", by=ann, status=200)).body["otomo"]
    assert [each["comment"] for each in page["reviews"]] == [f"review {n}" for n in (5, 4, 3, 2, 1)]
    assert page["reviews"][0]["userDisplayName"] == "Ann"
    assert (page["reviewCount"], page["rating"]) == (6, 2.67)
    assert page["schedule"] == [hours]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("minAge=30&maxAge=20", "INVALID_FILTER"),
        ("minAge=-1", "INVALID_FILTER"),
        ("minAge=x", "INVALID_FILTER"),
        ("isOnline=maybe", "INVALID_FILTER"),
        ("genre=", "INVALID_FILTER"),
        ("limit=51", "INVALID_LIMIT"),
        ("limit=0", "INVALID_LIMIT"),
        ("offset=-1", "INVALID_OFFSET"),
        ("minPrice=2&maxPrice=1", "INVALID_FILTER"),
        ("maxPrice=-1", "INVALID_FILTER"),
        ("isAvailable=1&isAvailable=0", "INVALID_FILTER"),
        ("tag=", "INVALID_FILTER"),
        ("gender=", "INVALID_FILTER"),
        ("q=", "INVALID_FILTER"),
        ("q=" + "x" * 51, "INVALID_FILTER"),
        ("q=a%00", "INVALID_FILTER"),
        ("sort=price", "INVALID_SORT"),
        ("sort=rating;drop", "INVALID_SORT"),
        ("order=rating", "INVALID_QUERY"),
    ],
)
async def test_wrong_filters_are_refused(rest: Rest, query: str, code: str) -> None:
    ann = await rest.person("Ann")
    answer = await rest.call("GET", f"/otomo/list?{query}", by=ann, status=400)
    assert answer.error == code


async def test_who_is_no_provider_has_no_page(rest: Rest) -> None:
    ann = await rest.person("Ann")
    for wanted in (ann.id, new_id()):
        answer = await rest.call("GET", f"/otomo/{wanted}", by=ann, status=404)
        assert answer.error == "OTOMO_NOT_FOUND"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "/otomo/profile"),
        ("PUT", "/otomo/status"),
        ("GET", "/otomo/list"),
        ("GET", f"/otomo/{new_id()}"),
        ("GET", "/otomo/me"),
        ("GET", "/otomo/schedule"),
        ("PUT", "/otomo/schedule"),
        ("GET", "/otomo/stats/summary"),
        ("GET", "/otomo/reviews"),
        ("GET", f"/otomo/{new_id()}/reviews"),
        ("POST", f"/calls/{new_id()}/review"),
        ("PUT", f"/calls/{new_id()}/review"),
        ("GET", f"/calls/{new_id()}/review"),
    ],
)
async def test_without_a_token_there_is_nothing(rest: Rest, method: str, path: str) -> None:
    await rest.call(method, path, json={}, status=401)
