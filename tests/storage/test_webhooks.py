"""Endpoints: how many, what they want, and their secrets."""

from __future__ import annotations

import base64

import pytest

from storage import webhooks
from storage.ids import new_id
from storage.pool import Connection
from storage.webhooks import ENDPOINTS_MAX, Endpoint, Wants

URL = "https://example.org/hook"


async def endpoint(conn: Connection, *events: str) -> Endpoint:
    secret = webhooks.new_secret()
    made = await webhooks.create(conn, new_id(), url=URL, events=events, secret=secret)
    assert made is not None
    return made


async def secrets_of(conn: Connection, made: Endpoint) -> tuple[str, str | None]:
    row = await conn.fetchrow(
        "select secret, old_secret from webhook_endpoint where id = $1", made.id
    )
    assert row is not None
    return row["secret"], row["old_secret"]


def test_a_secret_is_32_random_bytes_in_the_spelling_of_the_standard() -> None:
    one, other = webhooks.new_secret(), webhooks.new_secret()
    assert one != other
    assert one.startswith("whsec_")
    assert len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) == 32


def test_without_events_all_are_wanted() -> None:
    assert Wants(new_id(), []).takes("call.ended")
    assert Wants(new_id(), ["call.ended"]).takes("call.ended")
    assert not Wants(new_id(), ["call.ended"]).takes("call.settled")


async def test_what_was_made_is_listed_read_and_wants_its_events(conn: Connection) -> None:
    first, second = await endpoint(conn), await endpoint(conn, "call.ended")
    assert {each.id for each in await webhooks.list_all(conn)} == {first.id, second.id}
    assert await webhooks.read(conn, second.id) == second
    wanting = {each.id: each.events for each in await webhooks.wanting(conn)}
    assert wanting == {first.id: [], second.id: ["call.ended"]}


async def test_there_are_ten_at_most_not_counting_the_deleted(conn: Connection) -> None:
    made = [await endpoint(conn) for _ in range(ENDPOINTS_MAX)]
    assert await webhooks.create(conn, new_id(), url=URL, events=[], secret="whsec_") is None
    assert await webhooks.delete(conn, made[0].id)
    await endpoint(conn)


async def test_only_what_is_given_is_changed(conn: Connection) -> None:
    made = await endpoint(conn, "call.ended")
    changed = await webhooks.change(conn, made.id, url="https://example.org/other")
    assert changed is not None
    assert (changed.url, changed.events) == ("https://example.org/other", ["call.ended"])
    changed = await webhooks.change(conn, made.id, events=[])
    assert changed is not None
    assert (changed.url, changed.events) == ("https://example.org/other", [])


async def test_a_disabled_endpoint_wants_nothing_until_it_is_enabled(conn: Connection) -> None:
    made = await endpoint(conn)
    changed = await webhooks.change(conn, made.id, disabled=True)
    assert changed is not None
    assert changed.disabled == "operator"
    assert await webhooks.wanting(conn) == []
    await webhooks.change(conn, made.id, disabled=False)
    await webhooks.shut(conn, made.id)
    gone = await webhooks.read(conn, made.id)
    assert gone is not None
    assert gone.disabled == "gone"
    # Who disables it again does not hide by whom it was.
    again = await webhooks.change(conn, made.id, disabled=True)
    assert again is not None
    assert again.disabled == "gone"


async def test_a_new_secret_leaves_the_old_one_for_a_day(conn: Connection) -> None:
    made = await endpoint(conn)
    first, _ = await secrets_of(conn, made)
    rotated = await webhooks.rotate(conn, made.id, "whsec_new")
    assert rotated is not None
    assert await secrets_of(conn, made) == ("whsec_new", first)
    day = await conn.fetchval("select now() + interval '24 hours'")
    assert rotated.old_secret_until == day
    await webhooks.rotate(conn, made.id, "whsec_newer")
    assert await secrets_of(conn, made) == ("whsec_newer", "whsec_new")


async def test_a_deleted_endpoint_is_nowhere_and_its_secrets_are_gone(conn: Connection) -> None:
    made = await endpoint(conn)
    await webhooks.rotate(conn, made.id, "whsec_new")
    assert await webhooks.delete(conn, made.id)
    assert not await webhooks.delete(conn, made.id)
    assert await webhooks.list_all(conn) == []
    assert await webhooks.read(conn, made.id) is None
    assert await webhooks.change(conn, made.id, disabled=False) is None
    assert await webhooks.rotate(conn, made.id, "whsec_x") is None
    assert await webhooks.wanting(conn) == []
    assert await secrets_of(conn, made) == ("", None)


@pytest.mark.parametrize("url", ["", "x" * 2_049])
async def test_the_database_bounds_the_url(conn: Connection, url: str) -> None:
    with pytest.raises(Exception, match="url_check"):
        await webhooks.create(conn, new_id(), url=url, events=[], secret="whsec_")
