"""What a profile's texts may be. Pure."""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

import msgspec

from rest.account.bodies import ProfileChange
from rest.http.errors import Problem
from rest.http.texts import has_controls, without_scripts

NAME_CHARS_MAX = 50
BIO_CHARS_MAX = 200
GENDER_CHARS_MAX = 20
AGE_MIN = 13
AGE_MAX = 120

# A word or a few of them, in any script.
_word = re.compile(r"[^\W\d_]+(?:[ '’-][^\W\d_]+)*")
_date = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What of a profile changes: None stays, an empty text clears."""

    name: str | None = None
    bio: str | None = None
    gender: str | None = None
    birthday: date | Literal[""] | None = None


NO_CHANGE = Change()


def clean_profile(body: ProfileChange, today: date) -> Change:
    """
    Raises:
        Problem: 400 with the code of the field that is wrong.
    """
    return Change(
        name=None if body.name is None else clean_name(body.name),
        bio=None if body.bio is None else clean_bio(body.bio),
        gender=None if body.gender is None else clean_gender(body.gender),
        birthday=None if body.birthday is None else clean_birthday(body.birthday, today),
    )


def clean_name(name: str) -> str:
    """
    Raises:
        Problem: 400 INVALID_NAME.
    """
    clean = without_scripts(name)
    if not 1 <= len(clean) <= NAME_CHARS_MAX or not clean.isprintable():
        raise Problem(
            400, "INVALID_NAME", f"A name has 1 to {NAME_CHARS_MAX} characters.", {"field": "name"}
        )
    return clean


def clean_bio(bio: str) -> str:
    """
    Raises:
        Problem: 400 INVALID_BIO.
    """
    clean = without_scripts(bio)
    if len(clean) > BIO_CHARS_MAX or has_controls(clean):
        raise Problem(
            400, "INVALID_BIO", f"A bio has at most {BIO_CHARS_MAX} characters.", {"field": "bio"}
        )
    return clean


def clean_gender(gender: str) -> str:
    """
    Raises:
        Problem: 400 INVALID_GENDER.
    """
    clean = gender.strip()
    if clean and (len(clean) > GENDER_CHARS_MAX or not _word.fullmatch(clean)):
        raise Problem(
            400,
            "INVALID_GENDER",
            f"A gender is a word of at most {GENDER_CHARS_MAX} letters.",
            {"field": "gender"},
        )
    return clean


def clean_birthday(text: str, today: date) -> date | Literal[""]:
    """
    Raises:
        Problem: 400 INVALID_BIRTHDAY.
    """
    clean = text.strip()
    if not clean:
        return ""
    try:
        birthday = date.fromisoformat(clean) if _date.fullmatch(clean) else None
    except ValueError:
        birthday = None
    if birthday is None or not AGE_MIN <= age_on(today, birthday) <= AGE_MAX:
        raise Problem(
            400,
            "INVALID_BIRTHDAY",
            f"A birthday is a date (YYYY-MM-DD) that makes one {AGE_MIN} to {AGE_MAX} years old.",
            {"field": "birthday"},
        )
    return birthday


def age_on(today: date, birthday: date) -> int:
    """Full years. Who was born on February 29 is a year older on March 1."""
    before = (today.month, today.day) < (birthday.month, birthday.day)
    return today.year - birthday.year - before
