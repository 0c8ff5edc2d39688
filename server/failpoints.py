"""Named moments after a commit and before its answer, at which a development server can be made
to die: what a client is not told must not happen twice when it asks again.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from storage.combiner import Combiner
    from storage.lanes import Item
    from storage.works import Outcome

# The first five are the works of the calls' queue; "payment" is a payment that a gateway has spoken
# about; "keyed" is a request with an Idempotency-Key that is done, before its answer is kept.
POINTS = ("authorise", "record", "note", "charge", "settle", "payment", "keyed")
PATTERN = rf"^(({'|'.join(POINTS)})(:[1-9][0-9]{{0,5}})?)?$"
EXIT_CODE = 9

Passed = Callable[[str], None]


def _die() -> None:
    os._exit(EXIT_CODE)


def fail_point(setting: str, die: Callable[[], None] = _die) -> Passed | None:
    """What to call with the name of each moment that passes; None if no death is wished.

    `settle:3` dies at the third settlement. `die` does not return but in tests.
    """
    name, _, number = setting.partition(":")
    if not name:
        return None
    left = int(number or 1)

    def passed(moment: str) -> None:
        nonlocal left
        if moment == name:
            left -= 1
            if left == 0:
                die()

    return passed


def queue_class(passed: Passed | None) -> type[Combiner]:
    """The calls' queue; one that says what it has committed, before anybody is answered."""
    from storage.combiner import Combiner  # The settings, which come first, ask for names only.

    if passed is None:
        return Combiner
    say = passed

    class Telling(Combiner):
        async def _slice(self, items: list[Item]) -> list[Outcome]:
            outcomes = await super()._slice(items)
            for name in sorted({type(item.work).__name__.lower() for item in items}):
                say(name)
            return outcomes

    return Telling


def heard(
    observe: Callable[[str, str, str], None], passed: Passed | None
) -> Callable[[str, str, str], None]:
    """`observe`, told of payments after their commit, with the moment "payment" in front of it."""
    if passed is None:
        return observe
    say = passed

    def both(gateway: str, source: str, outcome: str) -> None:
        say("payment")
        observe(gateway, source, outcome)

    return both
