"""Adds up what the generators hand over, second by second, and makes the report of it."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from signalling.client.load.measure import Histogram, Tally, summarise
from signalling.client.load.plan import Plan, Try, highest_good
from signalling.client.load.report import Point, Report, judge, ordered, verdict

RUN = "run"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
EMPTY = Histogram()


class Collector:
    """`server_pids` are the server's processes on this machine, whose CPU is read as well."""

    def __init__(
        self,
        server_pids: Sequence[int] = (),
        *,
        cpu_of: Callable[[int], float | None] | None = None,
    ) -> None:
        self.total = Tally()
        self.step = Tally()
        self.stage = "connect"
        self.wanted = 0.0
        self.tries: list[Try] = []
        self.history: list[Point] = []
        self.users_most = 0
        self._second = Tally()
        self._gauges: dict[int, tuple[int, int]] = {}
        self._pids = tuple(server_pids)
        self._cpu_of = cpu_of or cpu_s_of
        self._began_at = datetime.now(UTC).isoformat(timespec="seconds")
        self._began_s = self._point_s = time.perf_counter()
        self._run_s = 0.0
        self._staged_s = self._began_s
        self._lag = Histogram()
        self._cpu: defaultdict[int, float] = defaultdict(float)
        self._server = {pid: self._cpu_of(pid) for pid in self._pids}
        self._server_s: defaultdict[int, float] = defaultdict(float)
        self._server_point = 0.0

    def begin(self, stage: str, wanted: float = 0) -> None:
        """From now on it is about another stage; `run` is the one that is measured."""
        now_s = time.perf_counter()
        self._read_server()
        if self.stage == RUN:
            self._run_s += now_s - self._staged_s
        self.stage, self.wanted, self._staged_s = stage, wanted, now_s
        self.step = Tally()

    def add(self, worker: int, tally: Tally) -> None:
        for sum_ in (self.total, self.step, self._second):
            sum_.add(tally)
        self._gauges[worker] = (tally.users, tally.live)
        self.users_most = max(self.users_most, self.users)
        if self.stage == RUN:
            self._lag.add(tally.lag)
            self._cpu[worker] += tally.cpu_s

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
        ring, relay = taken.phases.get("ring", EMPTY), taken.phases.get("relay", EMPTY)
        point = Point(
            at_s=now_s - self._began_s,
            stage=self.stage,
            wanted=self.wanted,
            started=taken.started,
            done=taken.done,
            failed=taken.failed,
            dropped=taken.dropped,
            live=self.live,
            users=self.users,
            calls_per_s=taken.done / seconds,
            frames_per_s=(taken.sent + taken.received) / seconds,
            ring_p50=ring.at(0.5),
            ring_p95=ring.at(0.95),
            ring_p99=ring.at(0.99),
            relay_p50=relay.at(0.5),
            relay_p99=relay.at(0.99),
            cpu=taken.cpu_s / seconds,
            server_cpu=server / seconds if self._pids else -1.0,
        )
        self.history.append(point)
        return point

    def report(self, plan: Plan, thresholds: Sequence[str], *, url: str, workers: int) -> Report:
        """Call `begin` with another stage first, so that the run is over."""
        total, seconds = self.total, max(1e-6, self._run_s)
        phases = {name: summarise(total.phases[name]) for name in ordered(total.phases)}
        busiest = max(self._cpu.values(), default=0.0) / seconds
        server = max(self._server_s.values(), default=-1.0)
        server_busiest = server / seconds if self._pids else -1.0
        lag = summarise(self._lag)
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
            cpu_s=sum(self._cpu.values()),
            cpu_busiest=busiest,
            server_cpu_s=sum(self._server_s.values()) if self._pids else -1.0,
            server_busiest=server_busiest,
            lag=lag,
            verdict=verdict(
                cpu=busiest, lag_p99_ms=lag.p99, server=server_busiest, dropped=total.dropped
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

    def _read_server(self) -> None:
        """Add what the server's processes have used since the last time."""
        for pid in self._pids:
            before, now = self._server[pid], self._cpu_of(pid)
            self._server[pid] = now
            if before is not None and now is not None:
                self._server_point += now - before
                if self.stage == RUN:
                    self._server_s[pid] += now - before


def cpu_s_of(pid: int) -> float | None:
    """The CPU a process of this machine has used so far; None if that cannot be known."""
    try:
        # The name in brackets may hold anything; user and system time are the 12th and 13th after.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S
