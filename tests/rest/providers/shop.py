"""The routes of providers with people to use them, and calls that they have had."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from rest.http.idempotency import Idempotency
from rest.providers.own import OwnProfileRoutes
from rest.providers.reviews import ReviewRoutes
from rest.providers.routes import ProviderRoutes
from rest.providers.shown import Shown
from storage.pool import Pool
from tests.rest.harness import Answer, FakeClock, Person, Rest, Table
from tests.storage.past import past_call

SHARE_BPS = 7_000


@dataclass(slots=True)
class Presence:
    """Who is connected and who is in a call, as the engine would say."""

    connected: set[UUID] = field(default_factory=set)
    in_call: set[UUID] = field(default_factory=set)
    by_hand: dict[UUID, str] = field(default_factory=dict)
    told: list[UUID] = field(default_factory=list)

    def of(self, user_id: UUID, stored: str) -> str:
        if stored == "offline" or user_id not in self.connected:
            return "offline"
        return "busy" if user_id in self.in_call else stored

    def present(self) -> dict[UUID, str]:
        """Those who are connected, by what they last set by hand; "online" if a test did not."""
        found = {each: self.of(each, self.by_hand.get(each, "online")) for each in self.connected}
        return {each: presence for each, presence in found.items() if presence != "offline"}


def tables(pool: Pool, clock: FakeClock, presence: Presence) -> list[Table]:
    shown = Shown(clock=clock, presence_of=presence.of)
    return [
        ProviderRoutes(pool, shown, present=presence.present),
        OwnProfileRoutes(pool, shown, share_bps=SHARE_BPS, presence_changed=presence.told.append),
        ReviewRoutes(pool, idempotency=Idempotency(pool)),
    ]


async def provider(rest: Rest, name: str = "Ann", **change: Any) -> Person:
    person = await rest.person(name)
    body = {"pricePerMinute": 120} | change
    await rest.call("PUT", "/otomo/profile", by=person, json=body, status=200)
    return person


async def set_status(rest: Rest, by: Person, online: bool, available: bool, **more: Any) -> Any:
    body = {"isOnline": online, "isAvailable": available} | more
    return (await rest.call("PUT", "/otomo/status", by=by, json=body, status=200)).body["otomo"]


async def talked(rest: Rest, by: Person, to: Person, **call: Any) -> str:
    """The path of the review of a call that they have had."""
    async with rest.pool.acquire() as conn:
        return f"/calls/{await past_call(conn, by.id, to.id, **call)}/review"


async def review(rest: Rest, by: Person, to: Person, **body: Any) -> Answer:
    """Of a new call."""
    path = await talked(rest, by, to)
    return await rest.call("POST", path, by=by, json=body, status=201)
