"""What a node writes down for its operators: journals of its calls, and samples of what it does."""

from __future__ import annotations

from collections.abc import Callable

from server.background import Chore
from server.journals import Journals
from server.metrics import Metrics
from server.sampling import Sampling, Tally, gauges_of
from server.webhook_watch import Both
from signalling.calls.host import Host
from signalling.calls.watcher import Watcher
from signalling.node import LiveNode
from storage.node_samples import Gauges
from storage.pool import Pool


class Records:
    """`put` hears of each call that is not run here any more."""

    def __init__(
        self, pool: Pool, epoch: int, metrics: Metrics, *, clock: Callable[[], int]
    ) -> None:
        """`epoch` is this life of this node; `clock` gives Unix ms."""
        self.epoch = epoch
        self._tally = Tally(metrics)
        self._journals = Journals(pool, epoch, metrics)
        self._live: LiveNode | None = None
        self._sampling = Sampling(
            pool, epoch, clock=clock, counts=lambda: self._tally.counts, gauges=self.gauges
        )

    def beside(self, watcher: Watcher) -> Watcher:
        """A watcher that tells both."""
        return Both(watcher, self._tally)

    def put(self, host: Host) -> None:
        self._journals.put(host)

    def gauges(self) -> Gauges:
        """What the node is doing now."""
        return Gauges() if self._live is None else gauges_of(self._live)

    def chores(self) -> list[Chore]:
        return [*self._journals.chores(), *self._sampling.chores()]

    async def start(self, live: LiveNode) -> None:
        self._live = live
        await self._journals.start()
        await self._sampling.start()

    async def stop(self) -> None:
        """What waits is written, if the database takes it now."""
        await self._sampling.stop()
        await self._journals.stop()
