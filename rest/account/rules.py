"""What a profile's texts may be. Pure."""

from __future__ import annotations

import re

from rest.http.errors import Problem

NAME_CHARS_MAX = 50
BIO_CHARS_MAX = 200

_script = re.compile(r"<\s*script\b.*?(?:<\s*/\s*script\s*>|\Z)", re.IGNORECASE | re.DOTALL)
# Line breaks are welcome in a longer text; other control characters are not.
_control = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def without_scripts(text: str) -> str:
    """The text without script elements, blanks around it cut off."""
    before = None
    while before != text:
        before, text = text, _script.sub("", text)
    return text.strip()


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
    if len(clean) > BIO_CHARS_MAX or _control.search(clean.replace("\r\n", "\n")):
        raise Problem(
            400, "INVALID_BIO", f"A bio has at most {BIO_CHARS_MAX} characters.", {"field": "bio"}
        )
    return clean
