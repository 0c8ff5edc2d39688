"""Two people and a call between them, as far along as a test wants it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from signalling.calls.host import Host
from tests.signalling.handsets import Handset, Json, Person
from tests.signalling.harness import Node

OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\n"


@dataclass(slots=True)
class Pair:
    """Ann calls Kai, who is paid: she has `phone` and `watch`, he has `tab` and `desk`."""

    node: Node
    ann: Person
    kai: Person
    phone: Handset
    watch: Handset
    tab: Handset
    desk: Handset
    call: str = ""

    @property
    def host(self) -> Host:
        host = self.node.registry.find(UUID(self.call))
        assert host is not None
        return host

    @property
    def all(self) -> tuple[Handset, ...]:
        return (self.phone, self.watch, self.tab, self.desk)

    async def request(self, **more: Any) -> Json:
        answer = await self.phone.ok("call_request", toUserId=str(self.kai.id), **more)
        self.call = answer["call"]["id"]
        return answer

    async def ring(self, **more: Any) -> None:
        await self.request(**more)
        await self.tab.ok("call_ringing", call=self.call)

    async def accept(self, **more: Any) -> Json:
        await self.ring(**more)
        return await self.tab.ok("call_accept", call=self.call)

    async def connect(self, **more: Any) -> None:
        """Both legs have media, and the first unit is posted."""
        await self.accept(**more)
        await self.phone.ok("media_connected", call=self.call)
        await self.tab.ok("media_connected", call=self.call)
        await self.phone.event("call_tick")

    async def talk(self, ms: int, *, every_ms: int = 10_000) -> None:
        """Time passes, and both legs report that media flows."""
        for _ in range(ms // every_ms):
            await self.node.passes(every_ms)
            self.report()

    def report(self) -> None:
        seconds = self.node.time() // 1_000 % 100_000_000
        for leg in (self.phone, self.tab):
            leg.say("media_stats", call=self.call, inBytes=seconds * 4_000)


async def make_pair(node: Node, *, funds: int = 500, price: int = 100) -> Pair:
    ann, kai = await node.person("Ann", funds=funds), await node.provider("Kai", price=price)
    return Pair(
        node,
        ann,
        kai,
        await node.handset(ann, "phone"),
        await node.handset(ann, "watch"),
        await node.handset(kai, "tab"),
        await node.handset(kai, "desk"),
    )
