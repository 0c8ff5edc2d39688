"""The six digits of a one-time code, derived from its row: they are stored nowhere.

Whoever reads the database learns no code without the server's key, and a job that sends one
carries the row's id only.
"""

from __future__ import annotations

import hmac

from storage.otp import Otp

DIGITS = 6


class CodeKey:
    def __init__(self, secret: str) -> None:
        self._key = hmac.digest(secret.encode(), b"talktime one-time codes", "sha256")

    def code_of(self, otp: Otp) -> str:
        """Bound to the phone, the purpose and the user; another id gives another code."""
        bound = f"{otp.id} {otp.purpose} {otp.phone} {otp.user_id}"
        digest = hmac.digest(self._key, bound.encode(), "sha256")
        # Of 64 bits the remainder is as good as even: no code is likelier by more than 1 in 10^13.
        return f"{int.from_bytes(digest[:8]) % 10**DIGITS:0{DIGITS}}"

    def matches(self, otp: Otp, given: str) -> bool:
        """In a time that does not depend on where the first difference is."""
        return hmac.compare_digest(self.code_of(otp).encode(), given.encode())
