"""What the routes of providers take and answer. Prices are minor units per minute."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import UNSET, Meta, UnsetType

from rest.http.body import Body, Query
from rest.http.pages import Page, PageQuery
from signalling.events import Shape

PRICE_MAX = 1_000_000_000
LISTED_MAX = 50
HOURS_MAX = 50
DAYS_MAX = 365

Price = Annotated[int, Meta(ge=0, le=PRICE_MAX)]
Age = Annotated[int, Meta(ge=0, le=150)]
Word = Annotated[str, Meta(min_length=1, max_length=40)]
Words = Annotated[list[Word], Meta(max_length=20)]
# A minute of the day, 00:00 to 24:00.
CLOCK = "^(?:(?:[01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
Tariff = Literal["minute", "second"]


class ProviderChange(Body, frozen=True):
    """Only what changes; the first time a price is needed. `pricePerMinute` sets both prices.

    `tariff`: whole minutes, or started seconds.
    """

    CODES: ClassVar[dict[str, str]] = {
        "displayName": "INVALID_NAME",
        "introduction": "INVALID_INTRODUCTION",
        "tariff": "INVALID_TARIFF",
        "pricePerMinute": "INVALID_PRICE",
        "priceAudio": "INVALID_PRICE",
        "priceVideo": "INVALID_PRICE",
        "genres": "INVALID_GENRES",
        "tags": "INVALID_TAGS",
    }

    display_name: Annotated[str, Meta(max_length=300)] | None = None
    introduction: Annotated[str, Meta(max_length=2_000)] | None = None
    tariff: Tariff | None = None
    price_per_minute: Price | None = None
    price_audio: Price | None = None
    price_video: Price | None = None
    genres: Words | None = None
    tags: Words | None = None


class StatusChange(Body, frozen=True):
    """Either the two switches or the one word `status`; `away` is another word for `break`. Nobody
    sets `busy`: calls do.

    `otomoId` may name the caller's own profile, or any for an admin.
    """

    CODES: ClassVar[dict[str, str]] = {
        "isOnline": "INVALID_STATUS",
        "isAvailable": "INVALID_STATUS",
        "status": "INVALID_STATUS",
        "statusMessage": "INVALID_STATUS_MESSAGE",
        "otomoId": "INVALID_OTOMO_ID",
    }

    is_online: bool | UnsetType = UNSET
    is_available: bool | UnsetType = UNSET
    status: Literal["online", "away", "break", "busy", "offline"] | UnsetType = UNSET
    status_message: Annotated[str, Meta(max_length=140)] | None = None
    otomo_id: UUID | None = None


class HoursRow(Body, frozen=True):
    """`dayOfWeek` 0 is Sunday; times are HH:MM, and 24:00 is the midnight that ends the day."""

    day_of_week: Annotated[int, Meta(ge=0, le=6)]
    start: Annotated[str, Meta(pattern=CLOCK, max_length=5)]
    end: Annotated[str, Meta(pattern=CLOCK, max_length=5)]


class ScheduleChange(Body, frozen=True):
    """The whole week; what was there before is gone."""

    CODES: ClassVar[dict[str, str]] = {"items": "INVALID_SCHEDULE"}

    items: Annotated[list[HoursRow], Meta(max_length=HOURS_MAX)]


class StatsQuery(Query, frozen=True):
    CODES: ClassVar[dict[str, str]] = {"days": "INVALID_DAYS"}

    days: Annotated[int, Meta(ge=1, le=DAYS_MAX)] = 30


class DirectoryQuery(PageQuery, frozen=True):
    """Ages are full years, prices those of audio; `q` is a part of the display name.

    "recommended" has those who are online first, the best rated of them at the top.
    """

    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "isOnline": "INVALID_FILTER",
        "isAvailable": "INVALID_FILTER",
        "genre": "INVALID_FILTER",
        "tag": "INVALID_FILTER",
        "gender": "INVALID_FILTER",
        "minAge": "INVALID_FILTER",
        "maxAge": "INVALID_FILTER",
        "minPrice": "INVALID_FILTER",
        "maxPrice": "INVALID_FILTER",
        "q": "INVALID_FILTER",
        "sort": "INVALID_SORT",
    }

    limit: Annotated[int, Meta(ge=1, le=LISTED_MAX)] = 20
    is_online: bool | None = None
    is_available: bool | None = None
    genre: Word | None = None
    tag: Word | None = None
    gender: Word | None = None
    min_age: Age | None = None
    max_age: Age | None = None
    min_price: Price | None = None
    max_price: Price | None = None
    q: Annotated[str, Meta(min_length=1, max_length=50)] | None = None
    sort: Literal["recommended", "rating", "price_low", "price_high", "newest"] = "recommended"


class ReviewBody(Body, frozen=True):
    """`score` is 1 to 5; the comment has at most 500 characters."""

    CODES: ClassVar[dict[str, str]] = {"score": "INVALID_SCORE", "comment": "INVALID_COMMENT"}

    score: Annotated[int, Meta(ge=1, le=5)]
    comment: Annotated[str, Meta(max_length=4_000)] = ""


class ReviewQuery(PageQuery, frozen=True):
    CODES: ClassVar[dict[str, str]] = {**PageQuery.CODES, "sort": "INVALID_SORT"}

    sort: Literal["newest", "highest", "lowest"] = "newest"


class Card(Shape, frozen=True):
    """A provider in the list. `presence`: online, busy, break or offline.

    `isOnline` is anything but offline, `isAvailable` only online. `rating` is 0 without reviews.
    """

    otomo_id: UUID
    display_name: str
    profile_image_url: str | None
    age: int | None
    gender: str | None
    genres: list[str]
    presence: str
    is_online: bool
    is_available: bool
    tariff: str
    currency: str
    price_per_minute: int
    price_audio: int
    price_video: int
    rating: float
    review_count: int


class Review(Shape, frozen=True):
    review_id: UUID
    user_display_name: str
    score: int
    comment: str
    created_at: datetime


class OpenHours(Shape, frozen=True):
    """`dayOfWeek` 0 is Sunday; times are HH:MM."""

    day_of_week: int
    start: str
    end: str


class Detail(Card, frozen=True):
    introduction: str | None
    tags: list[str]
    status_message: str | None
    status_updated_at: datetime
    reviews: list[Review]
    schedule: list[OpenHours]


class Directory(Page, frozen=True):
    items: list[Card]


class DetailAnswer(Shape, frozen=True):
    otomo: Detail


class Own(Detail, frozen=True):
    """`shareBps`: what of each call's price is the provider's, in hundredths of a percent."""

    share_bps: int


class OwnAnswer(Shape, frozen=True):
    otomo: Own


class Schedule(Shape, frozen=True):
    items: list[OpenHours]


class Stats(Shape, frozen=True):
    """The last `days` days. Calls are those in which somebody talked, `minutes` their whole minutes
    together; `rating` is that of the period's reviews, 0 without."""

    days: int
    calls: int
    minutes: int
    earnings: int
    currency: str
    unique_callers: int
    rating: float
    review_count: int


class Reviews(Page, frozen=True):
    items: list[Review]


class RatingSummary(Shape, frozen=True):
    """`histogram`: how many gave each score, from "5" to "1". `average` is 0 without reviews."""

    average: float
    count: int
    histogram: dict[str, int]


class OwnReviews(Reviews, frozen=True):
    summary: RatingSummary


class CallReview(Review, frozen=True):
    """`editedAt`: when its author changed it last."""

    call_id: UUID
    otomo_id: UUID
    edited_at: datetime | None


class CallReviewAnswer(Shape, frozen=True):
    review: CallReview
