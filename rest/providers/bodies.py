"""What the routes of the directory take and answer. Prices are minor units per minute."""

from datetime import datetime
from typing import Annotated, ClassVar, Literal
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body
from rest.http.pages import Page, PageQuery
from signalling.events import Shape

PRICE_MAX = 1_000_000_000
LISTED_MAX = 50

Price = Annotated[int, Meta(ge=0, le=PRICE_MAX)]
Age = Annotated[int, Meta(ge=0, le=150)]
Word = Annotated[str, Meta(min_length=1, max_length=40)]
Words = Annotated[list[Word], Meta(max_length=20)]
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
    """`otomoId` may name the caller's own profile, or any for an admin."""

    CODES: ClassVar[dict[str, str]] = {
        "isOnline": "INVALID_STATUS",
        "isAvailable": "INVALID_STATUS",
        "statusMessage": "INVALID_STATUS_MESSAGE",
        "otomoId": "INVALID_OTOMO_ID",
    }

    is_online: bool
    is_available: bool = True
    status_message: Annotated[str, Meta(max_length=140)] | None = None
    otomo_id: UUID | None = None


class DirectoryQuery(PageQuery, frozen=True):
    """Ages are full years."""

    CODES: ClassVar[dict[str, str]] = {
        **PageQuery.CODES,
        "isOnline": "INVALID_FILTER",
        "genre": "INVALID_FILTER",
        "minAge": "INVALID_FILTER",
        "maxAge": "INVALID_FILTER",
    }

    limit: Annotated[int, Meta(ge=1, le=LISTED_MAX)] = 20
    is_online: bool | None = None
    genre: Word | None = None
    min_age: Age | None = None
    max_age: Age | None = None


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
