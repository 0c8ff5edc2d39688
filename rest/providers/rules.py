"""What a provider profile may become, and what presence says to a list. Pure."""

from __future__ import annotations

from datetime import date

from rest.http.errors import Fault, Problem
from rest.providers.bodies import ProviderChange
from storage.providers import Terms

NAME_CHARS_MAX = 50

PRICE_MISSING = Fault(400, "INVALID_PRICE", "A new profile needs a price.")


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


def availability_of(is_online: bool, is_available: bool) -> str:
    """What a companion sets by hand; busy is never set by hand, only a call makes it."""
    if not is_online:
        return "offline"
    return "online" if is_available else "break"


def age_on(today: date, birthday: date | None) -> int | None:
    """Full years."""
    if birthday is None:
        return None
    had = (today.month, today.day) >= (birthday.month, birthday.day)
    return today.year - birthday.year - (0 if had else 1)


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
