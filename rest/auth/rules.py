"""What a name, an e-mail address, a password and a chosen role may be."""

from __future__ import annotations

import re
import secrets

from rest.http.errors import Problem

NAME_CHARS_MAX = 32
FULL_NAME_CHARS_MAX = 50
EMAIL_CHARS_MAX = 254
PASSWORD_CHARS_MIN = 8
PASSWORD_CHARS_MAX = 72
# What an account may be from its first log-in on.
OPEN_ROLES = ("customer", "companion", "technician", "store_owner", "delivery_partner")

# One @, a dot somewhere in the domain, nothing that is not printable: the rest is the mail's fate.
_email = re.compile(r"[^\s@,;<>()\[\]\\\"]{1,64}@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.)+[^\W\d_]{2,63}")


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


def default_name() -> str:
    """For who gives no name. Others see it, so it has nothing of a phone number or an address."""
    return f"User {secrets.randbelow(10_000):04}"


def clean_email(email: str) -> str:
    """In lower case and without blanks around it.

    Raises:
        Problem: 400 INVALID_EMAIL.
    """
    clean = email.strip().lower()
    if len(clean) > EMAIL_CHARS_MAX or ".." in clean or not _email.fullmatch(clean):
        raise Problem(400, "INVALID_EMAIL", "This is no e-mail address.", {"field": "email"})
    return clean


def check_role(role: str | None) -> str | None:
    """The role that a new account asks for, in lower case. Nobody makes themselves an admin.

    Raises:
        Problem: 400 INVALID_ROLE.
    """
    clean = None if role is None else role.strip().lower()
    if clean is not None and clean not in OPEN_ROLES:
        raise Problem(
            400, "INVALID_ROLE", f"A role is one of {', '.join(OPEN_ROLES)}.", {"field": "role"}
        )
    return clean


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
