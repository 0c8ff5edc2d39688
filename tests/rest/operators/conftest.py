"""Two nodes in memory with a call between them, and the operators' routes on the second one."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from rest.operators.call_routes import OperatorCallRoutes
from server.journals import Journals
from server.metrics import Metrics
from signalling.calls.host import Host
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Answer, Person, Rest
from tests.signalling.cluster import Apart, Cluster, make_apart
from tests.signalling.harness import Node

CALLS = "/operators/calls"


@dataclass(slots=True)
class Desk:
    """The admin asks at the node `east`; the call runs on `west`."""

    rest: Rest
    admin: Person
    cluster: Cluster
    apart: Apart
    journals: dict[str, Journals]

    @property
    def call(self) -> str:
        return self.apart.call

    @property
    def path(self) -> str:
        return f"{CALLS}/{self.call}"

    async def get(self, path: str, status: int = 200) -> Any:
        return (await self.rest.call("GET", path, by=self.admin, status=status)).body

    async def listed(self, **query: object) -> list[str]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        return [each["id"] for each in (await self.get(f"{CALLS}?{text}"))["items"]]

    async def items(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = (await self.get(f"{self.path}/timeline"))["items"]
        return items

    async def end(self, reason: str = "Reported.", status: int = 200) -> Answer:
        return await self.rest.call(
            "POST", f"{self.path}/end", by=self.admin, json={"reason": reason}, status=status
        )

    async def written(self) -> None:
        """The journals of what is over, or has gone, are in the database."""
        await self.cluster.quiet()
        for journals in self.journals.values():
            while journals.waiting:
                await journals._write()

    async def hung_up(self) -> None:
        await self.apart.hang_up(self.apart.phone)
        await self.written()


def journalled(node: Node, pool: Pool) -> Journals:
    """As the server wires them."""
    journals = Journals(pool, node.claim.epoch, Metrics("", version="0"))

    def put(host: Host) -> None:
        journals.put(host)

    for hook in ("closed", "parted"):
        object.__setattr__(node.live.ground, hook, put)
    node.live.handover._parted = put
    return journals


@pytest.fixture
async def cluster(pool: Pool) -> AsyncIterator[Cluster]:
    started = await Cluster.start(pool, "west", "east", "north")
    yield started
    await started.stop()


@pytest.fixture
async def desk(start: Start, pool: Pool, cluster: Cluster) -> Desk:
    journals = {node.claim.name: journalled(node, pool) for node in cluster.nodes}
    apart = await make_apart(cluster)
    east = apart.east
    routes = OperatorCallRoutes(
        pool, east.live.oversight, stop=east.routed.stop, clock=cluster.time
    )
    rest = await start(routes)
    admin = await rest.person("Root", roles=["customer", "admin"])
    return Desk(rest, admin, cluster, apart, journals)


def call_id(desk: Desk) -> UUID:
    return UUID(desk.call)
