"""Signatures of what other servers send us: `t=<unix seconds>,v1=<hex HMAC-SHA-256 of "t.body">`.

The time is signed with the bytes, so neither can be changed and an old delivery cannot be replayed.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from hashlib import sha256

TOLERANCE_S = 300
HEADER_CHARS_MAX = 400
SIGNATURES_MAX = 4

_time = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_hex = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Forged(Exception):
    """Not signed by who it says, or not now. It says no more, so that a forger learns nothing."""


def sign(secret: bytes, raw: bytes, at_s: int) -> str:
    """The header for a body sent at `at_s`."""
    return f"t={at_s},v1={_digest(secret, raw, str(at_s))}"


def check(secrets: Sequence[bytes], header: str | None, raw: bytes, now_s: int) -> None:
    """Accept a body signed with one of our secrets (two while they are rotated) within ±300 s.

    Raises:
        Forged: in every other case, whatever was wrong.
    """
    if header is None or len(header) > HEADER_CHARS_MAX:
        raise Forged
    at: str | None = None
    given: list[str] = []
    for part in header.split(","):
        name, _, value = part.partition("=")
        match name:
            case "t" if at is None and _time.fullmatch(value):
                at = value
            case "v1" if len(given) < SIGNATURES_MAX and _hex.fullmatch(value):
                given.append(value)
            case _:
                raise Forged
    if at is None or not given or abs(now_s - int(at)) > TOLERANCE_S:
        raise Forged
    expected = [_digest(secret, raw, at) for secret in secrets]
    # Every pair is compared, so that the time taken tells nothing.
    matches = [hmac.compare_digest(one, other) for one in expected for other in given]
    if not any(matches):
        raise Forged


def _digest(secret: bytes, raw: bytes, at: str) -> str:
    return hmac.new(secret, b"%b.%b" % (at.encode(), raw), sha256).hexdigest()
