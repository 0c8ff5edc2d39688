"""Rows of providers and reviews as the routes show them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID

import msgspec

from rest.providers import bodies, rules
from storage import hours, reviews
from storage.hours import Hours
from storage.pool import Connection
from storage.providers import Provider
from storage.reviews import Review

LATEST_REVIEWS = 5

# What a user's presence is now, from what the provider said of themselves: a call makes them
# busy, and without a connected device they are offline.
PresenceOf = Callable[[UUID, str], str]


class Shown:
    """What a profile is shown with: who is there now, the day, the currency of prices."""

    def __init__(
        self,
        *,
        clock: Callable[[], int],
        presence_of: PresenceOf = lambda _, stored: stored,
        currency: str = "PTS",
    ) -> None:
        """`clock` gives Unix ms."""
        self._clock = clock
        self._presence_of = presence_of
        self.currency = currency

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._clock() / 1000, UTC)

    def today(self) -> date:
        return self.now().date()

    def card(self, provider: Provider) -> bodies.Card:
        presence = self._presence_of(provider.user_id, provider.availability)
        return bodies.Card(
            otomo_id=provider.user_id,
            display_name=provider.display_name,
            profile_image_url=provider.avatar_url,
            age=rules.age_on(self.today(), provider.birthday),
            gender=provider.gender,
            genres=provider.genres,
            presence=presence,
            is_online=presence != "offline",
            is_available=presence == "online",
            tariff=provider.tariff,
            currency=self.currency,
            price_per_minute=provider.price_audio_minor,
            price_audio=provider.price_audio_minor,
            price_video=provider.price_video_minor,
            rating=rules.average(provider.rating_sum, provider.rating_count),
            review_count=provider.rating_count,
        )

    async def detail(self, conn: Connection, provider: Provider) -> bodies.Detail:
        """The whole page, with the newest reviews and the week."""
        latest = await reviews.list_of(conn, provider.user_id, limit=LATEST_REVIEWS)
        week = await hours.read_hours(conn, provider.user_id)
        card = msgspec.structs.asdict(self.card(provider))
        return bodies.Detail(
            **card,
            introduction=provider.introduction,
            tags=provider.tags,
            status_message=provider.status_message,
            status_updated_at=provider.status_updated_at,
            reviews=[review_view(each) for each in latest],
            schedule=hours_views(week),
        )


def hours_views(week: list[Hours]) -> list[bodies.OpenHours]:
    return [
        bodies.OpenHours(
            day_of_week=each.day_of_week,
            start=rules.clock_text(each.start_minute),
            end=rules.clock_text(each.end_minute),
        )
        for each in week
    ]


def review_view(review: Review) -> bodies.Review:
    return bodies.Review(
        review_id=review.id,
        user_display_name=review.author_name,
        score=review.score,
        comment=review.comment,
        created_at=review.created_at,
    )


def call_review_view(review: Review) -> bodies.CallReview:
    return bodies.CallReview(
        **msgspec.structs.asdict(review_view(review)),
        call_id=review.call_id,
        otomo_id=review.provider_id,
        edited_at=review.edited_at,
    )
