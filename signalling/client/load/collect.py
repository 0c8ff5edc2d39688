"""Adds up what the generators hand over, second by second, and makes the report of it."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from signalling.client.load.measure import Histogram, Summary, Tally, summarise
from signalling.client.load.plan import Plan, Try, highest_good
from signalling.client.load.report import Point, Report, judge, ordered, verdict

RUN = "run"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
EMPTY = Histogram()


class Stretch:
    """What was seen at one rate, and what that took of the generators and the server."""

    def __init__(self, wanted: float = 0) -> None:
        self.wanted = wanted
        self.tally = Tally()
        self.seconds = 0.0
        self.cpu_s: defaultdict[int, float] = defaultdict(float)
        self.server_s: defaultdict[int, float] = defaultdict(float)

    @property
    def cpu_busiest(self) -> float:
        """The share of a core that the busiest generator took."""
        return max(self.cpu_s.values(), default=0.0) / max(1e-6, self.seconds)

    @property
    def server_busiest(self) -> float:
        """The same of the server's processes; -1: not known."""
        if not self.server_s:
            return -1.0
        return max(self.server_s.values()) / max(1e-6, self.seconds)


class Collector:
    """`server_pids` are the server's processes on this machine, whose CPU is read as well."""

    def __init__(
        self,
        server_pids: Sequence[int] = (),
        *,
        cpu_of: Callable[[int], float | None] | None = None,
    ) -> None:
        self.total = Tally()
        self.stage = "connect"
        self.stretch = Stretch()
        self.tries: list[Try] = []
        self.history: list[Point] = []
        self.users_most = 0
        self._runs: list[Stretch] = []
        self._second = Tally()
        self._covered_s: defaultdict[int, float] = defaultdict(float)
        self._gauges: dict[int, tuple[int, int]] = {}
        self._pids = tuple(server_pids)
        self._cpu_of = cpu_of or cpu_s_of
        self._began_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._began_s = self._point_s = self._staged_s = time.perf_counter()
        self._server = {pid: self._cpu_of(pid) for pid in self._pids}
        self._server_point = 0.0

    def begin(self, stage: str, wanted: float = 0) -> None:
        """From now on it is about another stage; each `run` is a stretch that is measured."""
        now_s = time.perf_counter()
        self._read_server()
        self.stretch.seconds = now_s - self._staged_s
        if self.stage == RUN:
            self._runs.append(self.stretch)
        self.stage, self.stretch, self._staged_s = stage, Stretch(wanted), now_s

    def add(self, worker: int, tally: Tally) -> None:
        for sum_ in (self.total, self.stretch.tally, self._second):
            sum_.add(tally)
        self.stretch.cpu_s[worker] += tally.cpu_s
        self._covered_s[worker] += tally.seconds
        self._gauges[worker] = (tally.users, tally.live)
        self.users_most = max(self.users_most, self.users)

    @property
    def users(self) -> int:
        return sum(users for users, _ in self._gauges.values())

    @property
    def live(self) -> int:
        return sum(live for _, live in self._gauges.values())

    def tick(self) -> Point:
        """Close a second: what has come since the last one."""
        now_s = time.perf_counter()
        seconds = max(1e-6, now_s - self._point_s)
        taken, self._second, self._point_s = self._second, Tally(), now_s
        self._read_server()
        server, self._server_point = self._server_point, 0.0
        # Of the time that the generators speak of: their reports come with beats of their own.
        covered_s = max(self._covered_s.values(), default=0.0) or seconds
        self._covered_s.clear()
        ring, relay = taken.phases.get("ring", EMPTY), taken.phases.get("relay", EMPTY)
        point = Point(
            at_s=now_s - self._began_s,
            stage=self.stage,
            wanted=self.stretch.wanted,
            started=taken.started,
            done=taken.done,
            failed=taken.failed,
            dropped=taken.dropped,
            live=self.live,
            users=self.users,
            calls_per_s=taken.done / covered_s,
            frames_per_s=(taken.sent + taken.received) / covered_s,
            ring_p50=ring.at(0.5),
            ring_p95=ring.at(0.95),
            ring_p99=ring.at(0.99),
            relay_p50=relay.at(0.5),
            relay_p99=relay.at(0.99),
            cpu=taken.cpu_s / covered_s,
            server_cpu=server / seconds if self._pids else -1.0,
        )
        self.history.append(point)
        return point

    def phases(self) -> dict[str, Summary]:
        """Of all of the run; of a ladder those of the highest good rate, where it had them."""
        times = dict(self.total.phases)
        best = highest_good(self.tries)
        for run in self._runs:
            if best and run.wanted == best:
                times.update(run.tally.phases)
        return {name: summarise(times[name]) for name in ordered(times)}

    def report(self, plan: Plan, thresholds: Sequence[str], *, url: str, workers: int) -> Report:
        """Call `begin` with another stage first, so that the run is over."""
        total, phases = self.total, self.phases()
        seconds = max(1e-6, sum(run.seconds for run in self._runs))
        # Who was the limit is seen where most was wanted.
        top = max(self._runs, key=lambda run: run.wanted, default=Stretch())
        lag = summarise(top.tally.lag)
        return Report(
            url=url,
            mode=plan.mode,
            began_at=self._began_at,
            users=self.users_most,
            workers=workers,
            seconds=seconds,
            started=total.started,
            done=total.done,
            failed=total.failed,
            dropped=total.dropped,
            calls_per_s=total.done / seconds,
            sent=total.sent,
            received=total.received,
            resent=total.resent,
            cpu_s=sum(sum(run.cpu_s.values()) for run in self._runs),
            cpu_busiest=top.cpu_busiest,
            server_cpu_s=self._server_cpu_s(),
            server_busiest=top.server_busiest,
            lag=lag,
            verdict=verdict(
                cpu=top.cpu_busiest,
                lag_p99_ms=lag.p99,
                server=top.server_busiest,
                dropped=top.tally.dropped,
            ),
            phases=phases,
            errors=total.errors,
            outcomes=total.outcomes,
            billed=total.billed,
            compared=total.compared,
            charged_minor=total.charged_minor,
            violations_count=total.violations_count,
            violations=total.violations,
            thresholds=judge(thresholds, phases),
            tries=self.tries,
            best=highest_good(self.tries),
            history=self.history,
        )

    def _server_cpu_s(self) -> float:
        """-1: not known."""
        if not any(run.server_s for run in self._runs):
            return -1.0
        return sum(sum(run.server_s.values()) for run in self._runs)

    def _read_server(self) -> None:
        """Add what the server's processes have used since the last time."""
        for pid in self._pids:
            before, now = self._server[pid], self._cpu_of(pid)
            self._server[pid] = now
            if before is not None and now is not None:
                self._server_point += now - before
                self.stretch.server_s[pid] += now - before


def cpu_s_of(pid: int) -> float | None:
    """The CPU a process of this machine has used so far; None if that cannot be known."""
    try:
        # The name in brackets may hold anything; user and system time are the 12th and 13th after.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
