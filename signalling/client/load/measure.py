"""What a generator counts: times in histograms that can be added up, and how calls went."""

from collections.abc import Iterator

import msgspec

# Values below are exact to the microsecond; above, buckets are narrower than 1 % of their value.
_EXACT_BITS = 7
_EXACT = 1 << _EXACT_BITS
VIOLATIONS_MAX = 50


class Histogram(msgspec.Struct):
    """Times in ms, kept as counts by bucket. Two that are added up are as one that saw all."""

    counts: dict[int, int] = {}
    count: int = 0
    total_ms: float = 0
    low_ms: float = 0
    high_ms: float = 0

    def note(self, ms: float) -> None:
        us = int(ms * 1_000)
        # HDR: the leading bits of the value, and how many follow them.
        shift = us.bit_length() - _EXACT_BITS - 1
        bucket = us if shift <= 0 else (shift << _EXACT_BITS) + (us >> shift)
        counts = self.counts
        counts[bucket] = counts.get(bucket, 0) + 1
        if not self.count or ms < self.low_ms:
            self.low_ms = ms
        if ms > self.high_ms:
            self.high_ms = ms
        self.count += 1
        self.total_ms += ms

    def add(self, other: "Histogram") -> None:
        if not other.count:
            return
        for bucket, count in other.counts.items():
            self.counts[bucket] = self.counts.get(bucket, 0) + count
        self.low_ms = min(self.low_ms, other.low_ms) if self.count else other.low_ms
        self.high_ms = max(self.high_ms, other.high_ms)
        self.count += other.count
        self.total_ms += other.total_ms

    def at(self, share: float) -> float:
        """The time that `share` of all did not exceed, in ms; 0 if there were none."""
        wanted, seen = share * self.count, 0
        for bucket in sorted(self.counts):
            seen += self.counts[bucket]
            if seen >= wanted:
                return min(max(_middle_us(bucket) / 1_000, self.low_ms), self.high_ms)
        return self.high_ms


def _middle_us(bucket: int) -> float:
    if bucket < 2 * _EXACT:
        return float(bucket)
    shift = (bucket >> _EXACT_BITS) - 1
    low = (bucket - (shift << _EXACT_BITS)) << shift
    return low + ((1 << shift) - 1) / 2


class Summary(msgspec.Struct, frozen=True):
    """Times of one phase in ms."""

    count: int
    avg: float
    min: float
    p50: float
    p90: float
    p95: float
    p99: float
    max: float

    @property
    def med(self) -> float:
        return self.p50


def summarise(times: Histogram) -> Summary:
    return Summary(
        count=times.count,
        avg=times.total_ms / max(1, times.count),
        min=times.low_ms,
        p50=times.at(0.5),
        p90=times.at(0.9),
        p95=times.at(0.95),
        p99=times.at(0.99),
        max=times.high_ms,
    )


class Violation(msgspec.Struct, frozen=True):
    """A promise of the protocol that was not kept, with the last frames of the device.

    `>` was sent, `<` came. Secrets are not among them.
    """

    rule: str
    text: str
    device: str
    frames: list[str] = []


Counts = dict[str, dict[str, int]]


class Tally(msgspec.Struct):
    """What one generator saw in one stretch of time; those of all times and generators add up.

    `errors` are by phase and code, `outcomes` by scenario and result (`done`, or why not).
    `dropped` arrivals found no free user. `users` and `live` are how many there are at the end.
    `billed` calls cost `charged_minor` by what the devices were told; of `compared` the receipts
    were read.
    """

    phases: dict[str, Histogram] = {}
    errors: Counts = {}
    outcomes: Counts = {}
    started: int = 0
    done: int = 0
    failed: int = 0
    dropped: int = 0
    sent: int = 0
    received: int = 0
    resent: int = 0
    billed: int = 0
    compared: int = 0
    charged_minor: int = 0
    users: int = 0
    live: int = 0
    seconds: float = 0
    cpu_s: float = 0
    lag: Histogram = msgspec.field(default_factory=Histogram)
    violations: list[Violation] = []
    violations_count: int = 0

    def note(self, phase: str, ms: float) -> None:
        times = self.phases.get(phase)
        if times is None:
            times = self.phases[phase] = Histogram()
        times.note(ms)

    def error(self, phase: str, code: str) -> None:
        _count(self.errors, phase, code)

    def outcome(self, scenario: str, result: str) -> None:
        _count(self.outcomes, scenario, result)

    def blame(self, violation: Violation) -> None:
        self.violations_count += 1
        if len(self.violations) < VIOLATIONS_MAX:
            self.violations.append(violation)

    def add(self, other: "Tally") -> None:
        """Take over what `other` counted. Seconds and gauges are left to who knows how the two
        stand to each other."""
        for name, times in other.phases.items():
            self.phases.setdefault(name, Histogram()).add(times)
        for mine, theirs in ((self.errors, other.errors), (self.outcomes, other.outcomes)):
            for key, code, count in _each(theirs):
                _count(mine, key, code, count)
        for name in (
            *("started", "done", "failed", "dropped", "sent", "received", "resent"),
            *("billed", "compared", "charged_minor", "cpu_s", "violations_count"),
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.lag.add(other.lag)
        self.violations += other.violations[: VIOLATIONS_MAX - len(self.violations)]


def _count(counts: Counts, key: str, code: str, count: int = 1) -> None:
    found = counts.setdefault(key, {})
    found[code] = found.get(code, 0) + count


def _each(counts: Counts) -> Iterator[tuple[str, str, int]]:
    for key, codes in counts.items():
        for code, count in codes.items():
            yield key, code, count
