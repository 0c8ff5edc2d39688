"""What a name, an e-mail address, a phone number and a password may be. Pure."""

from __future__ import annotations

import re

from rest.http.errors import Problem

NAME_CHARS_MAX = 32
FULL_NAME_CHARS_MAX = 50
EMAIL_CHARS_MAX = 254
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 72

# One @, a dot somewhere in the domain, nothing that is not printable: the rest is the mail's fate.
_email = re.compile(r"[^\s@,;<>()\[\]\\\"]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,63}")
_phone = re.compile(r"\+[1-9][0-9]{6,14}")
_filling = re.compile(r"[\s().-]")


def clean_name(name: str | None, first: str | None = None, last: str | None = None) -> str:
    """The name to show: `name`, or first and last name joined.

    Raises:
        Problem: 400 INVALID_NAME.
    """
    if name is not None:
        return check_name(name, NAME_CHARS_MAX)
    return check_name(" ".join(part.strip() for part in (first, last) if part), FULL_NAME_CHARS_MAX)


def check_name(name: str, chars_max: int = FULL_NAME_CHARS_MAX, field: str = "name") -> str:
    """
    Raises:
        Problem: 400 INVALID_NAME.
    """
    clean = name.strip()
    if not 1 <= len(clean) <= chars_max or not clean.isprintable():
        raise Problem(
            400, "INVALID_NAME", f"A name has 1 to {chars_max} characters.", {"field": field}
        )
    return clean


def clean_email(email: str) -> str:
    """In lower case and without blanks around it.

    Raises:
        Problem: 400 INVALID_EMAIL.
    """
    clean = email.strip().lower()
    if len(clean) > EMAIL_CHARS_MAX or ".." in clean or not _email.fullmatch(clean):
        raise Problem(400, "INVALID_EMAIL", "This is no e-mail address.", {"field": "email"})
    return clean


def clean_phone(phone: str) -> str | None:
    """As E.164, or None if it is no international number."""
    clean = _filling.sub("", phone)
    return clean if _phone.fullmatch(clean) else None


def check_password(password: str) -> str:
    """
    Raises:
        Problem: 400 INVALID_PASSWORD.
    """
    if not PASSWORD_CHARS_MIN <= len(password) <= PASSWORD_CHARS_MAX:
        raise Problem(
            400,
            "INVALID_PASSWORD",
            f"A password has {PASSWORD_CHARS_MIN} to {PASSWORD_CHARS_MAX} characters.",
            {"field": "password"},
        )
    return password
