"""How many requests one address and one user may send, whatever they are for."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web

from rest.http.identity import Identity, address_of
from rest.http.limiter import Limiter
from signalling.limits import Rate


class Rates:
    """`admit` is asked before a request is looked at, `admit_user` when its caller is known.

    What guards single routes (log-in, codes) is stricter and stands beside this.
    """

    def __init__(
        self, *, address: Rate | None, user: Rate | None, clock: Callable[[], int]
    ) -> None:
        """`clock` gives Unix ms; None is no limit."""
        self._by_address = None if address is None else Limiter(address, clock)
        self._by_user = None if user is None else Limiter(user, clock)

    def admit(self, request: web.Request) -> None:
        """
        Raises:
            Problem: 429 RATE_LIMITED with Retry-After.
        """
        if self._by_address is not None:
            self._by_address.check(address_of(request), "Too many requests from this address.")

    def admit_user(self, identity: Identity) -> None:
        """
        Raises:
            Problem: 429 RATE_LIMITED with Retry-After.
        """
        if self._by_user is not None:
            self._by_user.check(str(identity.user_id), "Too many requests of this account.")


def rate(burst: int, per_s: int) -> Rate | None:
    """So many at once, then so many a second; no limit if either is 0."""
    return Rate(burst, max(1, 1_000 // per_s)) if burst and per_s else None
