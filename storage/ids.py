"""Identifiers and random secrets."""

from __future__ import annotations

import secrets
from uuid import UUID

from uuid_utils import compat, uuid7

CANONICAL_CHARS = 36


def new_id() -> UUID:
    """A version 7 UUID: grows with time, so that new rows land at the end of an index."""
    return compat.uuid7()


def new_text_id() -> str:
    """As `new_id`, spelled: an eighth of its cost for whoever wants no more than the text."""
    return str(uuid7())


def first_id(at_ms: int) -> UUID:
    """Below every version 7 UUID made at that Unix ms or later, and above all earlier ones."""
    return UUID(int=at_ms << 80)


def parse_id(text: str) -> UUID | None:
    """The UUID that `text` spells in the canonical 36 characters, or None.

    `uuid.UUID` alone also takes braces, `urn:uuid:` and missing hyphens; one spelling per id keeps
    keys, logs and caches comparable.
    """
    if len(text) != CANONICAL_CHARS:
        return None
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None


def new_secret(bytes: int = 32) -> str:
    """`bytes` random bytes as URL-safe text without padding (32 bytes are 43 characters)."""
    return secrets.token_urlsafe(bytes)
