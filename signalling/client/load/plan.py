"""What a load run is asked to do. No I/O: words of the command line in, figures out."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

SCENARIOS = {
    "answered": "rung, answered, signalled, charged, ended",
    "rejected": "the callee says no",
    "cancelled": "the caller hangs up while it rings",
    "busy": "a third user rings somebody who is in a call",
    "no-answer": "rings until the server gives up",
    "glare": "both ring each other at the same moment",
    "out-of-money": "ends when the money does; refused when there is none",
    "top-up": "money comes in mid-call",
    "reconnect": "a leg loses its socket in mid-call and comes back",
    "slow-reader": "a leg stops reading for a while",
    "screens": "the screens of an app, by REST",
}
MEDIA_SCENARIOS = ("answered", "rejected", "cancelled")
Mode = Literal["signalling", "media"]
# The ladder stops when the highest good and the lowest bad rate are this near.
LADDER_NEAR = 1.1
LADDER_TRIES_MAX = 30
LADDER_STEP_S = 10.0

_UNITS_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "": 1.0}
_length = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h)?$")


class Ladder(msgspec.Struct, frozen=True):
    """Rates to search between, in calls a second."""

    low: float
    high: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`rate` is arrivals a second, whatever the server does; 0: the next when one has ended.

    It grows from 0 within `ramp_s`. A run ends after `calls` or `duration_s`, whichever is first;
    0 is no limit. `think_s` is how long people wait before they answer and before they hang up,
    between two bounds; `talk_s` the talk after the first unit. `resend` is the share of commands
    that are sent twice, to see that they count once.
    """

    scenarios: dict[str, float]
    rate: float = 0
    calls: int = 0
    duration_s: float = 0
    ramp_s: float = 0
    think_s: tuple[float, float] = (0, 0)
    talk_s: float = 0
    seed: int = 1
    mode: Mode = "signalling"
    resend: float = 0.02
    ladder: Ladder | None = None

    def split(self, count: int) -> list["Plan"]:
        """The same load for `count` generators together; each has dice of its own."""
        return [
            msgspec.structs.replace(
                self,
                rate=self.rate / count,
                calls=self.calls // count + (number < self.calls % count),
                seed=self.seed + 7_919 * number,
            )
            for number in range(count)
        ]


class Step(msgspec.Struct, frozen=True):
    """One stretch of a run, at one rate. 0 has the meanings it has in `Plan`."""

    rate: float
    duration_s: float
    calls: int


class Try(msgspec.Struct, frozen=True):
    """A rate of the ladder, whether it was good, and if not, why."""

    rate: float
    good: bool
    why: str = ""


def parse_scenarios(text: str) -> dict[str, float]:
    """`answered=8,rejected=1` as weights; a name alone weighs 1, and `all` is every name.

    Raises:
        ValueError: no such scenario, a weight that is none, or all are 0.
    """
    if text == "all":
        return dict.fromkeys(SCENARIOS, 1.0)
    weights: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition("=")
        name = name.strip().replace("_", "-")
        if name not in SCENARIOS:
            raise ValueError(f"There is no scenario {name!r}; there are {', '.join(SCENARIOS)}.")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            raise ValueError(f"{weight!r} is no weight for {name}.") from None
        if not 0 <= weights[name] < math.inf:
            raise ValueError(f"A weight is 0 or more: {part}.")
    if not any(weights.values()):
        raise ValueError("Name at least one scenario with a weight above 0.")
    return {name: weight for name, weight in weights.items() if weight}


def parse_seconds(text: str) -> float:
    """`90`, `90s`, `1.5m`, `200ms` as seconds.

    Raises:
        ValueError: no length of time.
    """
    found = _length.match(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no length of time like 90s, 1.5m or 200ms.")
    number, unit = found.groups()
    return float(number) * _UNITS_S[unit or ""]


def parse_span(text: str) -> tuple[float, float]:
    """`0.5s-2s`, or one length for always, as seconds.

    Raises:
        ValueError: no span, or its end is before its beginning.
    """
    low, dash, high = text.partition("-")
    span = parse_seconds(low), parse_seconds(high if dash else low)
    if span[1] < span[0]:
        raise ValueError(f"{text!r} ends before it begins.")
    return span


def parse_mode(text: str) -> Mode:
    """
    Raises:
        ValueError: neither `signalling` nor `media`.
    """
    if text == "signalling":
        return "signalling"
    if text == "media":
        return "media"
    raise ValueError(f"The mode is signalling or media, not {text!r}.")


def parse_ladder(text: str) -> Ladder:
    """`10:500`, in calls a second.

    Raises:
        ValueError: not two rates, the lower first.
    """
    low, _, high = text.partition(":")
    try:
        ladder = Ladder(float(low), float(high))
    except ValueError:
        raise ValueError(f"{text!r} is no ladder like 10:500.") from None
    if not 0 < ladder.low <= ladder.high < math.inf:
        raise ValueError("A ladder goes up, from above 0.")
    return ladder


def arrivals(step: Step, ramp_s: float = 0) -> Iterator[float]:
    """When calls begin, in seconds from the start of an open-loop step (its rate is above 0).

    Evenly, but for the ramp, in which the rate grows from 0.
    """
    rate, number = step.rate, 0
    in_ramp = rate * ramp_s / 2
    while not step.calls or number < step.calls:
        if number < in_ramp:
            at_s = math.sqrt(2 * number * ramp_s / rate)
        else:
            at_s = ramp_s / 2 + number / rate
        if step.duration_s and at_s >= step.duration_s:
            return
        yield at_s
        number += 1


def next_rate(ladder: Ladder, tries: Sequence[Try]) -> float | None:
    """The rate to try next: doubled until one is not good, then halfway; None when it is found."""
    good = highest_good(tries)
    bad = min((each.rate for each in tries if not each.good), default=None)
    if len(tries) >= LADDER_TRIES_MAX:
        return None
    if not tries:
        return ladder.low
    if bad is None:
        return None if good >= ladder.high else min(2 * good, ladder.high)
    if good == 0 or bad / good <= LADDER_NEAR:
        return None
    return (good + bad) / 2


def highest_good(tries: Sequence[Try]) -> float:
    """0 when not even the lowest rate was without a failure."""
    worst = min((each.rate for each in tries if not each.good), default=math.inf)
    return max((each.rate for each in tries if each.good and each.rate < worst), default=0)


def check_mode(mode: Mode, scenarios: Mapping[str, float]) -> None:
    """
    Raises:
        ValueError: this mode has no such scenario.
    """
    if mode == "media" and (wrong := set(scenarios) - set(MEDIA_SCENARIOS)):
        raise ValueError(
            f"With media there are {', '.join(MEDIA_SCENARIOS)}, not {', '.join(sorted(wrong))}."
        )
