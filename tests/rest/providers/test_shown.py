from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import msgspec

from rest.providers.shown import Shown, call_review_view, hours_views, review_view
from storage import providers
from storage.hours import Hours
from storage.ids import new_id
from storage.pool import Connection
from storage.reviews import Review
from tests.rest.harness import FakeClock
from tests.storage.past import AT
from tests.storage.world import make_user

PROVIDER = providers.Provider(
    "Kai",
    None,
    "minute",
    120,
    200,
    ["talk"],
    [],
    user_id=new_id(),
    availability="online",
    status_message=None,
    status_updated_at=AT,
    rating_sum=14,
    rating_count=3,
    avatar_url=None,
    gender=None,
    birthday=date(2000, 1, 16),
)
REVIEW = Review(new_id(), new_id(), new_id(), "Ann", 4, "kind", AT, None)


def test_a_card_says_what_is_so_now(clock: FakeClock) -> None:
    asked: list[tuple[UUID, str]] = []

    def presence_of(user_id: UUID, stored: str) -> str:
        asked.append((user_id, stored))
        return "busy"

    shown = Shown(clock=clock, presence_of=presence_of, currency="EUR")
    card = shown.card(PROVIDER)
    assert asked == [(PROVIDER.user_id, "online")]
    assert (card.presence, card.is_online, card.is_available) == ("busy", True, False)
    # The clock of the test stands at 15 January 2027.
    assert (card.age, card.rating, card.currency) == (26, 4.67, "EUR")
    assert (card.price_per_minute, card.price_audio, card.price_video) == (120, 120, 200)


def test_now_is_in_utc(clock: FakeClock) -> None:
    shown = Shown(clock=clock)
    assert shown.now() == datetime(2027, 1, 15, 8, tzinfo=UTC)
    assert shown.today() == date(2027, 1, 15)


async def test_a_page_without_reviews_and_hours_is_a_page(
    conn: Connection, clock: FakeClock
) -> None:
    kai = await make_user(conn, provider=True)
    found = await providers.read_provider(conn, kai.id)
    assert found is not None
    detail = await Shown(clock=clock).detail(conn, found)
    assert (detail.reviews, detail.schedule, detail.presence) == ([], [], "online")


def test_hours_are_written_as_clocks_show_them() -> None:
    [view] = hours_views([Hours(6, 0, 1_440)])
    assert (view.day_of_week, view.start, view.end) == (6, "00:00", "24:00")


def test_only_the_two_of_a_call_see_which_call_it_was() -> None:
    assert "callId" not in msgspec.to_builtins(review_view(REVIEW))
    view = call_review_view(REVIEW)
    assert (view.call_id, view.otomo_id) == (REVIEW.call_id, REVIEW.provider_id)
