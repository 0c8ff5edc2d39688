"""What a profile's texts may be. Pure."""

from __future__ import annotations

from rest.http.errors import Problem
from rest.http.texts import has_controls, without_scripts

NAME_CHARS_MAX = 50
BIO_CHARS_MAX = 200


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
