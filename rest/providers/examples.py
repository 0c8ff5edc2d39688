"""What the API's document shows of providers and reviews."""

from datetime import UTC, datetime
from uuid import UUID

import msgspec

from rest.providers import bodies

OTOMO_ID = UUID("0198f2a0-0000-7000-8000-000000000002")

CARD = bodies.Card(
    otomo_id=OTOMO_ID,
    display_name="Kai",
    profile_image_url=None,
    age=31,
    gender="female",
    genres=["listening"],
    presence="online",
    is_online=True,
    is_available=True,
    tariff="minute",
    currency="PTS",
    price_per_minute=120,
    price_audio=120,
    price_video=200,
    rating=4.5,
    review_count=2,
)
REVIEW = bodies.Review(
    review_id=UUID("0198f2a0-0000-7000-8000-000000000003"),
    user_display_name="Ann",
    score=5,
    comment="Kind and patient.",
    created_at=datetime(2026, 1, 15, 20, 30, tzinfo=UTC),
)
CALL_REVIEW = bodies.CallReview(
    **msgspec.structs.asdict(REVIEW),
    call_id=UUID("0198f2a0-0000-7000-8000-000000000004"),
    otomo_id=OTOMO_ID,
    edited_at=None,
)
HOURS = bodies.OpenHours(day_of_week=1, start="20:00", end="24:00")
DETAIL = bodies.Detail(
    **msgspec.structs.asdict(CARD),
    introduction="Tell me about your day.",
    tags=["calm"],
    status_message="Here until midnight",
    status_updated_at=datetime(2026, 1, 15, 20, 0, tzinfo=UTC),
    reviews=[REVIEW],
    schedule=[HOURS],
)
OWN = bodies.Own(**msgspec.structs.asdict(DETAIL), share_bps=7_000)
STATS = bodies.Stats(
    days=30,
    calls=12,
    minutes=340,
    earnings=28_560,
    currency="PTS",
    unique_callers=7,
    rating=4.5,
    review_count=2,
)
SUMMARY = bodies.RatingSummary(
    average=4.5, count=2, histogram={"5": 1, "4": 1, "3": 0, "2": 0, "1": 0}
)
