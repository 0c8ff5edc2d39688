"""A whole run: users on line, one rate or a ladder of them, the books, the report."""

import asyncio
import contextlib
import resource
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

import msgspec

from signalling.client.load.collect import RUN, Collector
from signalling.client.load.crew import WATCH_EVERY
from signalling.client.load.device import Pair
from signalling.client.load.measure import Tally, summarise
from signalling.client.load.plan import LADDER_STEP_S, Plan, Step, Try, check_mode, next_rate
from signalling.client.load.report import Point, Report, judge
from signalling.client.load.workers import Fleet

POINT_S = 1.0
# Between two rates of a ladder, so that one does not suffer from the last.
REST_S = 1.0
SPARE_FILES = 200


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """`workers` are generator processes; `server_pids` the server's, if it is on this machine."""

    url: str
    plan: Plan
    pairs: list[Pair]
    workers: int = 1
    thresholds: tuple[str, ...] = ()
    server_pids: tuple[int, ...] = ()


class Remote(ValueError):
    """The server is on another machine, and nobody said that this is meant."""


async def run_load(
    job: Job,
    *,
    show: Callable[[Point, Collector], None] = lambda _, __: None,
    stop: asyncio.Event | None = None,
) -> Report:
    """`show` is called every second. When `stop` is set no more calls begin: the run ends, is
    compared with the books and reported as any other.

    Raises:
        ValueError: what is asked for makes no sense.
        WorkerFailed: a generator process ended.
    """
    plan = job.plan
    judge(job.thresholds, {})
    check_mode(plan.mode, plan.scenarios)
    if not job.pairs:
        raise ValueError("A load run needs at least two users.")
    if len(job.pairs) < job.workers:
        raise ValueError("Each worker needs at least two users.")
    if not (plan.calls or plan.duration_s or plan.ladder):
        raise ValueError("Say when it ends: after a duration or a number of calls.")
    collector = Collector(job.server_pids)
    fleet = Fleet(job.url, job.pairs, plan, collector.add, count=job.workers)
    stop = stop or asyncio.Event()
    helpers = [
        asyncio.create_task(_tick(collector, show)),
        asyncio.create_task(_pass_on(stop, fleet)),
    ]
    try:
        await fleet.start()
        if plan.ladder is None:
            collector.begin(RUN, plan.rate)
            await fleet.run(Step(plan.rate, plan.duration_s, plan.calls))
        else:
            await _climb(job, fleet, collector, stop)
        collector.begin("books")
        await fleet.finish()
    finally:
        for task in helpers:
            task.cancel()
        await asyncio.gather(*helpers, return_exceptions=True)
        await fleet.close()
    show(collector.tick(), collector)
    return collector.report(plan, job.thresholds, url=job.url, workers=job.workers)


async def _pass_on(stop: asyncio.Event, fleet: Fleet) -> None:
    await stop.wait()
    fleet.stop()


async def _climb(job: Job, fleet: Fleet, collector: Collector, stop: asyncio.Event) -> None:
    """Search the highest rate at which nothing fails and the thresholds hold."""
    plan = job.plan
    assert plan.ladder is not None
    while (rate := next_rate(plan.ladder, collector.tries)) is not None:
        collector.begin(RUN, rate)
        await fleet.run(Step(rate, plan.duration_s or LADDER_STEP_S, plan.calls))
        seen = collector.stretch.tally
        collector.begin("rest")
        if stop.is_set():
            return  # This rate was not tried for long enough.
        why = wrong_with(seen, job.thresholds)
        collector.tries.append(Try(rate, not why, why))
        await asyncio.sleep(REST_S)


def wrong_with(seen: Tally, thresholds: Sequence[str]) -> str:
    """What keeps a rate of the ladder from being good; nothing if it is. Thresholds of phases that
    come before the calls are not for a rate."""
    counts = {
        "failed": seen.failed,
        "found nobody free": seen.dropped,
        "broken promises": seen.violations_count,
    }
    wrong = [f"{count} {what}" for what, count in counts.items() if count]
    judged = judge(thresholds, {name: summarise(times) for name, times in seen.phases.items()})
    wrong += [f"{each.text}: {each.value_ms:.1f} ms" for each in judged if each.missed]
    return ", ".join(wrong)


async def _tick(collector: Collector, show: Callable[[Point, Collector], None]) -> None:
    while True:
        await asyncio.sleep(POINT_S)
        show(collector.tick(), collector)


def check_target(url: str, *, allow_remote: bool) -> None:
    """
    Raises:
        Remote: it is not this machine, and not allowed.
        ValueError: no address.
    """
    host = urlsplit(url).hostname
    if not host:
        raise ValueError(f"{url!r} is no address of a server like http://127.0.0.1:8080.")
    with contextlib.suppress(ValueError):
        if ip_address(host).is_loopback:
            return
    if host != "localhost" and not allow_remote:
        raise Remote(
            f"{host} is another machine. A load test of a server that is not yours is an attack: "
            "say --allow-remote if it is yours."
        )


def make_room(pairs: Sequence[Pair], workers: int) -> str:
    """Allow this process and its children as many sockets as they need. A warning if the system
    does not let us, else nothing."""
    couples = -(-len(pairs) // workers)
    needed = 2 * couples + -(-couples // WATCH_EVERY) + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed:
        return ""
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    if wanted >= needed:
        return ""
    return (
        f"Only {wanted} open files are allowed and {needed} are needed for so many users: "
        f"raise `ulimit -n`, here and for the server, or use more --workers."
    )
