"""What people write for other people: no scripts, no control characters. Pure."""

from __future__ import annotations

import re

_script = re.compile(r"<\s*script\b.*?(?:<\s*/\s*script\s*>|\Z)", re.IGNORECASE | re.DOTALL)
_control = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def without_scripts(text: str) -> str:
    """The text without script elements, blanks around it cut off."""
    before = None
    while before != text:
        before, text = text, _script.sub("", text)
    return text.strip()


def has_controls(text: str) -> bool:
    """Line breaks and tabs are welcome in a longer text; other control characters are not."""
    return _control.search(text.replace("\r\n", "\n")) is not None
