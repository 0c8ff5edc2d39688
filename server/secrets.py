"""What makes a secret too weak for production, and the development secrets kept on disk."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

import orjson

LENGTH_MIN_BYTES = 32
DISTINCT_MIN_BYTES = 10
# Compared without case, blanks and punctuation; a secret that repeats one of them is as weak.
WEAK_WORDS = frozenset(
    {
        "secret", "devkey", "changeme", "changethis", "changemeplease", "replaceme", "password",
        "passw0rd", "admin", "default", "example", "sample", "test", "testing", "development",
        "production", "placeholder", "insecure", "topsecret", "supersecret", "mysecret",
        "yoursecret", "yoursecrethere", "jwtsecret", "secretkey", "talktime", "talktimesecret",
        "qwerty", "letmein", "abc123", "todo", "0123456789abcdef", "1234567890",
        "abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrstuvwxyz0123456789",
        "0123456789abcdefghijklmnopqrstuvwxyz",
    }
)  # fmt: skip


def weaknesses(secret: str) -> list[str]:
    """Why `secret` may not be used in production; empty if it may. Never quotes it."""
    found: list[str] = []
    data = secret.encode()
    if len(data) < LENGTH_MIN_BYTES:
        found.append(f"has fewer than {LENGTH_MIN_BYTES} bytes")
    if len(set(data)) < DISTINCT_MIN_BYTES:
        found.append(f"has fewer than {DISTINCT_MIN_BYTES} different bytes")
    letters = "".join(sign for sign in secret.lower() if sign.isalnum())
    if any(_repeats(letters, word) for word in WEAK_WORDS):
        found.append("is on the list of well-known secrets")
    return found


def _repeats(text: str, word: str) -> bool:
    """True if `text` is `word` over and over (the last time perhaps cut short)."""
    return bool(text) and (word * (len(text) // len(word) + 1)).startswith(text)


def development_secrets(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Read the secrets `names` from the file, and make and keep those that are missing.

    The file is made with mode 0600. They are real secrets, kept so that a restart does not log
    everybody out; production is given its own.

    Raises:
        ValueError: the file is damaged, or others may read it.
        OSError: it cannot be read or written.
    """
    kept: dict[str, str] = {}
    if path.exists():
        if path.stat().st_mode & 0o077:
            raise ValueError("may be read by others; run chmod 600 on it")
        found = orjson.loads(path.read_bytes())
        if not isinstance(found, dict) or not all(isinstance(each, str) for each in found.values()):
            raise ValueError("is not what we wrote; remove it to get new development secrets")
        kept = found
    missing = [name for name in names if name not in kept]
    if missing:
        kept |= {name: secrets.token_urlsafe(32) for name in missing}
        if not path.parent.exists():
            path.parent.mkdir(parents=True)
            path.parent.chmod(0o711)  # The database's user must pass through, whatever the umask.
        fresh = path.with_name(f"{path.name}.{os.getpid()}")
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(orjson.dumps(kept, option=orjson.OPT_INDENT_2))
        fresh.replace(path)
    return {name: kept[name] for name in names}
