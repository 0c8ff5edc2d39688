"""What the acts play on: two nodes, the phones of two people who talk, and the screen."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp

from server.screens import CallScreen
from server.station import Station, keep_showing
from tests.cluster.findings import Findings
from tests.cluster.observer import Observer
from tests.end_to_end.coturn import Coturn
from tests.end_to_end.fleet import Fleet
from tests.end_to_end.town import KAI, KAI_HZ, MIA, MIA_HZ, Handset

ONE, TWO = "one", "two"
SOUND_S = 10.0
STEP_S = 30.0
PITCH_TOLERANCE = 0.05


@dataclass
class Stage:
    """`wallet` is what Mia had at the beginning."""

    fleet: Fleet
    dsn: str
    screen: CallScreen
    findings: Findings
    relay: Coturn | None
    wallet: int = 0
    observers: list[Observer] = field(default_factory=list)

    @property
    def mia(self) -> Handset:
        return self.observers[0].handset

    @property
    def kai(self) -> Handset:
        return self.observers[1].handset

    def say(self, line: str) -> None:
        self.screen.say(line)

    def title(self, line: str) -> None:
        self.screen.say(line, "bold")

    @contextlib.asynccontextmanager
    async def phones(self) -> AsyncIterator[None]:
        """Mia's at the one node, Kai's at the other."""
        mia = await self.fleet.handset(MIA, "mias-phone", MIA_HZ, at=ONE)
        kai = await self.fleet.handset(KAI, "kais-phone", KAI_HZ, at=TWO)
        self.observers = [
            Observer(name, each, self.say) for name, each in (("Mia", mia), ("Kai", kai))
        ]
        try:
            await self.fleet.sees(ONE, kai)
            yield
        finally:
            for each in self.observers:
                await each.stop()
            await self.fleet.close_phones()

    @contextlib.asynccontextmanager
    async def shown(self) -> AsyncIterator[None]:
        """The call of the two is on the screen."""
        people = [
            Station(each.handset.api, each.handset.phone, each.name, each.handset.user_id)
            for each in self.observers
        ]
        viewer = asyncio.create_task(keep_showing(self.screen, self.mia.call, people))
        try:
            yield
        finally:
            viewer.cancel()
            await asyncio.wait([viewer])

    def move(self, node: str) -> None:
        """Requests of all phones go to this node from now on."""
        for each in self.observers:
            each.handset.api.url = self.fleet[node].url

    async def together(self, node: str) -> None:
        """Until this node knows that another one is there."""
        async with aiohttp.ClientSession() as http, asyncio.timeout(STEP_S):
            while True:
                async with http.get(f"{self.fleet[node].url}/metrics") as answer:
                    found = re.search(r"^talktime_nodes (\S+)", await answer.text(), re.MULTILINE)
                if found is not None and float(found.group(1)) >= 1:
                    return
                await asyncio.sleep(0.05)


async def hears(handset: Handset, hz: int) -> float:
    """The pitch that it hears, given some time to become this one."""
    sink = handset.phone.sink
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(SOUND_S):
            while abs(sink.hz() - hz) > hz * PITCH_TOLERANCE:  # noqa: ASYNC110 (it has no event)
                await asyncio.sleep(0.05)
    return sink.hz()


def is_pitch(heard: float, hz: int) -> bool:
    return abs(heard - hz) <= hz * PITCH_TOLERANCE
