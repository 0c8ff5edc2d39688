"""What providers and reviewers may send, and what a query of the directory asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise
from uuid import UUID

from msgspec import UNSET

from rest.http.errors import Fault, Problem
from rest.http.texts import has_controls, without_scripts
from rest.providers.bodies import DirectoryQuery, HoursRow, ProviderChange, StatusChange
from storage.directory import Filter, Presence
from storage.hours import Hours
from storage.providers import Terms

NAME_CHARS_MAX = 50
COMMENT_CHARS_MAX = 500

NO_PROVIDER = Fault(404, "OTOMO_NOT_FOUND", "There is no such provider.")
PRICE_MISSING = Fault(400, "INVALID_PRICE", "A new profile needs a price.")
INVALID_STATUS = Fault(400, "INVALID_STATUS", "Send isOnline, or one of the words of status.")
BUSY_BY_HAND = Fault(400, "INVALID_STATUS", "Only a call makes busy.")
INVALID_FILTER = Fault(400, "INVALID_FILTER", "The lowest is above the highest.")
INVALID_SCHEDULE = Fault(400, "INVALID_SCHEDULE", "Hours end after they start and do not overlap.")
INVALID_COMMENT = Fault(
    400,
    "INVALID_COMMENT",
    f"A comment has at most {COMMENT_CHARS_MAX} characters and no control characters.",
)


def merged(change: ProviderChange, before: Terms | None, name: str) -> Terms:
    """The profile after the change; `name` is the account's, for a profile without its own.

    Raises:
        Problem: 400 INVALID_NAME, INVALID_INTRODUCTION, or INVALID_PRICE when a new profile has
            none.
    """
    audio = _first(change.price_audio, change.price_per_minute)
    video = _first(change.price_video, change.price_per_minute)
    if before is None:
        if audio is None and video is None:
            raise PRICE_MISSING.problem(field="pricePerMinute")
        audio, video = _first(audio, video), _first(video, audio)
        before = Terms(name[:NAME_CHARS_MAX], None, "minute", 0, 0, [], [])
    introduction = before.introduction
    if change.introduction is not None:
        introduction = _text(change.introduction) or None
    return Terms(
        display_name=before.display_name
        if change.display_name is None
        else _name(change.display_name),
        introduction=introduction,
        tariff=change.tariff or before.tariff,
        price_audio_minor=before.price_audio_minor if audio is None else audio,
        price_video_minor=before.price_video_minor if video is None else video,
        genres=before.genres if change.genres is None else _words(change.genres),
        tags=before.tags if change.tags is None else _words(change.tags),
    )


def availability_of(change: StatusChange) -> str:
    """The provider's own word: online, break or offline.

    Raises:
        Problem: 400 INVALID_STATUS.
    """
    if change.status is not UNSET:
        if change.is_online is not UNSET or change.is_available is not UNSET:
            raise INVALID_STATUS.problem(field="status")
        if change.status == "busy":
            raise BUSY_BY_HAND.problem(field="status")
        return "break" if change.status == "away" else change.status
    if change.is_online is UNSET:
        raise INVALID_STATUS.problem(field="isOnline")
    if not change.is_online:
        return "offline"
    return "break" if change.is_available is False else "online"


def filter_of(query: DirectoryQuery, today: date) -> Filter:
    """
    Raises:
        Problem: 400 INVALID_FILTER.
    """
    if _above(query.min_age, query.max_age):
        raise INVALID_FILTER.problem(field="minAge")
    if _above(query.min_price, query.max_price):
        raise INVALID_FILTER.problem(field="minPrice")
    return Filter(
        genre=query.genre,
        tag=query.tag,
        gender=query.gender,
        born_after=None if query.max_age is None else latest_birthday(today, query.max_age + 1),
        born_until=None if query.min_age is None else latest_birthday(today, query.min_age),
        price_min=query.min_price,
        price_max=query.max_price,
        text=query.q,
    )


def presence_wanted(query: DirectoryQuery, present: Mapping[UUID, str]) -> Presence:
    """Whom the query wants of those who are there (their presence, anything but offline), and
    whether it wants the others."""
    wanted = list(present)
    if query.is_online is False:
        wanted = []
    if query.is_available is not None:
        wanted = [each for each in wanted if (present[each] == "online") is query.is_available]
    return Presence(
        present=list(present),
        wanted=wanted,
        absent=query.is_online is not True and query.is_available is not True,
    )


def latest_birthday(today: date, age: int) -> date:
    """Whoever is born then or before is at least `age`, as `age_on` counts."""
    year = today.year - age
    try:
        return today.replace(year=year)
    except ValueError:  # 29 February, and no leap year.
        return today.replace(year=year, day=28)


def age_on(today: date, birthday: date | None) -> int | None:
    """Full years."""
    if birthday is None:
        return None
    had = (today.month, today.day) >= (birthday.month, birthday.day)
    return today.year - birthday.year - (0 if had else 1)


def week_of(rows: Sequence[HoursRow]) -> list[Hours]:
    """
    Raises:
        Problem: 400 INVALID_SCHEDULE, naming the row that ends too early or begins too early.
    """
    week: list[tuple[Hours, int]] = []
    for n, row in enumerate(rows):
        hours = Hours(row.day_of_week, _minute(row.start), _minute(row.end))
        if hours.end_minute <= hours.start_minute:
            raise INVALID_SCHEDULE.problem(field=f"items[{n}].end")
        week.append((hours, n))
    week.sort(key=lambda each: (each[0].day_of_week, each[0].start_minute))
    for (before, _), (hours, n) in pairwise(week):
        if hours.day_of_week == before.day_of_week and hours.start_minute < before.end_minute:
            raise INVALID_SCHEDULE.problem(field=f"items[{n}].start")
    return [hours for hours, _ in week]


def clock_text(minute: int) -> str:
    """A minute of the day as HH:MM."""
    return f"{minute // 60:02}:{minute % 60:02}"


def clean_comment(comment: str) -> str:
    """
    Raises:
        Problem: 400 INVALID_COMMENT.
    """
    clean = without_scripts(comment)
    if len(clean) > COMMENT_CHARS_MAX or has_controls(clean):
        raise INVALID_COMMENT.problem(field="comment")
    return clean


def average(score_sum: int, count: int) -> float:
    """0 without reviews."""
    return round(score_sum / count, 2) if count else 0.0


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _above(lowest: int | None, highest: int | None) -> bool:
    return lowest is not None and highest is not None and lowest > highest


def _first(one: int | None, other: int | None) -> int | None:
    return one if one is not None else other


def _name(given: str) -> str:
    clean = given.strip()
    if not 1 <= len(clean) <= NAME_CHARS_MAX or not clean.isprintable():
        raise Problem(
            400,
            "INVALID_NAME",
            f"A name has 1 to {NAME_CHARS_MAX} characters.",
            {"field": "displayName"},
        )
    return clean


def _text(given: str) -> str:
    clean = given.strip()
    if not clean.replace("\r\n", "\n").replace("\n", "").replace("\t", "").isprintable():
        raise Problem(
            400,
            "INVALID_INTRODUCTION",
            "A text has no control characters.",
            {"field": "introduction"},
        )
    return clean


def _words(given: list[str]) -> list[str]:
    """In the given order, each once."""
    return list(dict.fromkeys(word for each in given if (word := each.strip())))
