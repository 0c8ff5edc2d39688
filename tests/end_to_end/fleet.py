"""Nodes of one deployment as processes of their own, and phones that know all of them."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from server.makers import make_passwords
from server.people import ensure_demo
from signalling.client.envelope import Backoff
from signalling.client.rest import Api
from signalling.client.wire import Wire
from storage.pool import create_pool
from tests.end_to_end.driver import Process, start_process
from tests.end_to_end.town import MIA, PASSWORD, SOON, STEP_S, Handset
from tests.server.running import development

# So short that nobody waits for long, and longer than a busy machine takes for anything.
SETTINGS = {
    "TALKTIME_BEAT_MS": "100",
    "TALKTIME_LEASE_MS": "3000",
    "TALKTIME_PING_CALL_MS": "500",
    "TALKTIME_DEAD_CALL_MS": "4000",
}


class Fleet:
    """Nodes by their names. One that is started again has the address it had before."""

    def __init__(
        self, directory: Path, settings: Mapping[str, str], *, backoff: Backoff = SOON
    ) -> None:
        self.nodes: dict[str, Process] = {}
        self._directory = directory
        self._settings = {"TALKTIME_JWT_SECRET": secrets.token_urlsafe(32), **settings}
        self._backoff = backoff
        self._open = contextlib.AsyncExitStack()

    def __getitem__(self, name: str) -> Process:
        return self.nodes[name]

    async def start(self, name: str, **settings: str) -> Process:
        """Start a node, or start it again; returns when it takes connections."""
        before = self.nodes.get(name)
        port = 0 if before is None else int(before.url.rpartition(":")[2])
        directory = self._directory / name
        directory.mkdir(exist_ok=True)
        given = {**self._settings, "TALKTIME_NODE_NAME": name, **settings}
        self.nodes[name] = await start_process(directory, port, **given)
        return self.nodes[name]

    def urls(self, first: str) -> list[str]:
        """The addresses of all nodes, in the order in which a phone tries them."""
        return [self[first].url, *(node.url for name, node in self.nodes.items() if name != first)]

    async def handset(
        self, email: str, device: str, hz: int, *, at: str, relay_only: bool = False
    ) -> Handset:
        """A phone that comes to the node `at`, and to the others when that one is gone."""
        api = await self._open.enter_async_context(Api(self[at].url))
        user = await api.login(email, PASSWORD)
        wire = Wire(
            self.urls(at), api.token, device_id=device, backoff=self._backoff, refresh=api.refresh
        )
        await self._open.enter_async_context(wire)
        handset = Handset(api, wire, user.id, hz, relay_only=relay_only)
        await self._open.enter_async_context(handset.phone)
        return handset

    async def sees(self, name: str, provider: Handset) -> None:
        """Until this node knows that the provider is there."""
        async with Api(self[name].url) as api, asyncio.timeout(STEP_S):
            await api.login(MIA, PASSWORD)
            while True:
                there = await api.providers(online=True)
                if provider.user_id in {each["otomoId"] for each in there}:
                    return
                await asyncio.sleep(0.02)

    async def close_phones(self) -> None:
        await self._open.aclose()

    async def close(self) -> None:
        """Nothing of it is left, whatever has become of it."""
        await self.close_phones()
        for node in self.nodes.values():
            with contextlib.suppress(ProcessLookupError):
                await node.kill()


async def make_accounts(dsn: str, directory: Path) -> None:
    """The demo accounts: nodes that start together would make them twice."""
    config = development(directory)
    passwords = make_passwords(config)
    pool = await create_pool(dsn, min_size=1, max_size=1, application_name="tests")
    try:
        await ensure_demo(pool, passwords, config.currency)
    finally:
        await pool.close()
        passwords.close()


@contextlib.asynccontextmanager
async def a_fleet(directory: Path, dsn: str, redis_url: str) -> AsyncIterator[Fleet]:
    """A deployment without a node yet, on a migrated database."""
    await make_accounts(dsn, directory)
    fleet = Fleet(
        directory,
        {
            **SETTINGS,
            "DATABASE_URL": dsn,
            "REDIS_URL": redis_url,
            "TALKTIME_REDIS_PREFIX": secrets.token_hex(6),
        },
    )
    try:
        yield fleet
    finally:
        await fleet.close()
