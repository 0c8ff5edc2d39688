"""Who has an account is not for everybody to find out, one phone number after the other."""

from signalling.calls.opening import TermsSource
from signalling.codes import Code, Refused
from signalling.limits import CallLimits, Rate
from signalling.sockets.throttle import TokenBuckets
from storage.terms import Ask, Terms

HOUR_MS = 3_600_000


class CountedLookups:
    """A source of terms where each caller may name so many callees by number as they may call.

    Any answer tells whether the number has an account, so all count, but for those to a request
    that is sent again.
    """

    def __init__(self, terms: TermsSource, limits: CallLimits) -> None:
        self._terms = terms
        burst = limits.calls_per_hour_max
        self._by_caller = TokenBuckets(Rate(burst, max(1, HOUR_MS // burst)))

    async def read(self, ask: Ask) -> Terms | None:
        """
        Raises:
            Refused: rate_limited.
            Unavailable: ask again later.
        """
        terms = await self._terms.read(ask)
        if ask.callee_phone is not None and not _is_repeated(ask, terms):
            wait_ms = self._by_caller.take(str(ask.caller_id), ask.now_ms)
            if wait_ms > 0:
                raise Refused(
                    Code.RATE_LIMITED, "Too many phone numbers; wait.", retry_after_ms=wait_ms
                )
        return terms


def _is_repeated(ask: Ask, terms: Terms | None) -> bool:
    known = None if terms is None else terms.known
    if terms is None or known is None:
        return False
    return known.caller_id == ask.caller_id and known.callee_id == terms.callee.user_id
