"""What must not leave the process in a text: numbers, addresses and secrets of people.

Texts of ours hold none of it. Those of libraries may: an error of the database quotes the row.
"""

from __future__ import annotations

import re
from typing import Any

DEPTH_MAX = 12
TEXT_MAX = 8_192
LEFT_OUT = "[left out]"

# JSON Web Tokens, at the beginning of a word (also after "\\n" in a quoted text), and whatever is
# said to be a bearer's.
_token = re.compile(
    r"(?:(?<![\w-])|(?<=\\[nrt]))eyJ[\w-]{4,}+(?:\.[\w-]*+){1,2}|(?i:bearer)\s+[^\s\"',]+"
)
_mail = re.compile(r"[\w.+-]{1,64}+@[\w-]{1,63}(?:\.[\w-]{1,63})+")
_phone = re.compile(r"\+\d[\d ().-]{5,20}\d")
# A session description, from its first line on; a candidate; the lines that carry keys.
_sdp = re.compile(
    r"v=0(?:\\r|\\n|\s)+o=.*|(?:a=)?candidate:.*|a=(?:ice|fingerprint|crypto).*", re.S
)
# How PostgreSQL quotes rows: "Key (phone)=(...) already exists.", "Failing row contains (...)."
_row = re.compile(r"DETAIL:.*|(?<=Failing row contains ).*|(?<=Key )\(.*", re.S)
# Not within ids, names and decimals; a port or a year is the price.
_code = re.compile(r"(?<![\w.-])\d{4,8}(?![\w-])")


def scrub(text: str) -> str:
    """`text` without tokens, addresses, session descriptions and rows; phone numbers masked."""
    if len(text) > TEXT_MAX:
        text = text[:TEXT_MAX] + "…"
    # Most texts hold nothing: looking for the sign first is much cheaper than the pattern.
    if "eyJ" in text or "earer" in text:
        text = _token.sub(LEFT_OUT, text)
    if "v=0" in text or "candidate:" in text or "a=" in text:
        text = _sdp.sub(LEFT_OUT, text)
    if "DETAIL:" in text or "Failing row" in text or "Key (" in text:
        text = _row.sub(LEFT_OUT, text)
    if "@" in text:
        text = _mail.sub(LEFT_OUT, text)
    if "+" in text:
        text = _phone.sub(_masked, text)
    return text


def scrub_codes(text: str) -> str:
    """As `scrub`, and without bare numbers of 4 to 8 digits, as codes of a log-in are."""
    return _code.sub(LEFT_OUT, scrub(text))


def scrub_within(value: Any, depth: int = DEPTH_MAX) -> Any:
    """The value with every text in it scrubbed; what is nested too deeply is left out."""
    match value:
        case str():
            return scrub(value)
        case dict() | list() | tuple() if depth == 0:
            return LEFT_OUT
        case dict():
            return {key: scrub_within(each, depth - 1) for key, each in value.items()}
        case list() | tuple():
            return [scrub_within(each, depth - 1) for each in value]
        case _:
            return value


def _masked(found: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", found[0])
    return f"+{digits[:2]}…{digits[-2:]}"
