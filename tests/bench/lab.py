"""What every benchmark gets: a durable PostgreSQL, servers on it, people, and the report."""

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import msgspec

from rest.auth.tokens import TokenKeys
from server.embedded import EmbeddedPostgres
from storage.ids import new_id
from storage.migrate import migrate
from storage.pool import connect
from tests.bench.children import Child, child, family_cpu_s
from tests.bench.people import grant, make_providers, make_users
from tests.bench.report import Report

CURRENCY = "PTS"
PRICE_MINOR = 120
TOKEN_TTL_S = 900
# What would stop a load from one address, or drop devices that are silent because they measure.
SETTINGS = {
    "TALKTIME_ARGON2_PROFILE": "test",
    "TALKTIME_LOG_LEVEL": "warning",
    "TALKTIME_SOCKETS_PER_ADDRESS_MAX": "1000000",
    "TALKTIME_CALLS_PER_HOUR_MAX": "1000000",
    "TALKTIME_COOLDOWN_CALLS": "1000000",
    "TALKTIME_CALL_REQUEST_BURST": "1000000",
    "TALKTIME_ADDRESS_BURST": "0",
    "TALKTIME_USER_BURST": "0",
    "TALKTIME_DEAD_IDLE_MS": "900000",
    "TALKTIME_DEAD_CALL_MS": "120000",
    "TALKTIME_EVIDENCE_MS": "120000",
    "TALKTIME_CONNECT_MS": "60000",
    # A full load is to be measured, not to be refused.
    "TALKTIME_LATE_MAX_MS": "0",
}


class Login(msgspec.Struct, frozen=True):
    """Somebody who can connect."""

    user_id: UUID
    token: str


class Lab:
    """One PostgreSQL for the run, a fresh database for each benchmark that wants one."""

    def __init__(
        self,
        directory: Path,
        report: Report,
        *,
        quick: bool,
        idle: int,
        pin: bool,
        uwebsockets: Path | None = None,
    ) -> None:
        self.report = report
        self.quick = quick
        self.idle = idle
        self.pin = pin
        self.uwebsockets = uwebsockets  # Sources of it.
        self.directory = directory
        self._postgres = EmbeddedPostgres(directory, durable=True, exclusive=False)
        self._dsn: str | None = None
        self._keys = TokenKeys(secrets.token_urlsafe(32), TOKEN_TTL_S)

    @property
    def jwt_secret(self) -> str:
        """What signs the tokens of all who log in here."""
        return self._keys.secret

    def pick(self, full: int, quick: int) -> int:
        return quick if self.quick else full

    def seconds(self, full: float) -> float:
        return 0.5 if self.quick else full

    async def dsn(self) -> str:
        """A fresh migrated database."""
        if self._dsn is None:
            self._dsn = await asyncio.to_thread(self._postgres.start)
        name = f"bench_{secrets.token_hex(6)}"
        conn = await asyncpg.connect(self._dsn)
        try:
            await conn.execute(f"create database {name}")
        finally:
            await conn.close()
        dsn = urlunsplit(urlsplit(self._dsn)._replace(path=f"/{name}"))
        await migrate(dsn)
        return dsn

    def database_cpu_s(self) -> float:
        """CPU of the whole PostgreSQL so far, its background processes included."""
        pid = self._postgres.status().pid
        assert pid is not None
        return family_cpu_s(pid)

    def close(self) -> None:
        self._postgres.stop()

    @contextlib.asynccontextmanager
    async def server(
        self, dsn: str, *, tuned: Sequence[str] = (), arguments: Sequence[str] = (), **settings: str
    ) -> AsyncIterator[Child]:
        """A real server process, as in production but for the limits of one address.

        `tuned` are options of `tests.bench.tuned`, `arguments` those of `talktime serve`
        instead of a port of its own choice.
        """
        directory = self.directory / f"server-{secrets.token_hex(4)}"
        directory.mkdir()
        given = {
            **SETTINGS,
            "TALKTIME_DATA_DIR": str(directory),
            "TALKTIME_JWT_SECRET": self.jwt_secret,
            "DATABASE_URL": dsn,
            **settings,
        }
        module = ("tests.bench.tuned", *tuned) if tuned else ("server",)
        command = (*module, "serve", "--dev", *(arguments or ("--port", "0")))
        async with child(*command, log=directory / "log", settings=given, pin=self.pin) as started:
            yield started

    def login(self, user_id: UUID) -> Login:
        now_s = int(time.time())
        return Login(user_id, self._keys.issue(user_id, new_id(), ["customer"], now_s))

    async def people(self, dsn: str, count: int) -> list[Login]:
        """Customers without money."""
        conn = await connect(dsn, application_name="bench")
        try:
            async with conn.transaction():
                made = await make_users(conn, "Customer", count, CURRENCY)
            await conn.execute("vacuum analyze users, account")
        finally:
            await conn.close()
        return [self.login(user_id) for user_id in made]

    async def pairs(self, dsn: str, count: int) -> list[tuple[Login, Login]]:
        """Callers with money enough for all, and providers who are online."""
        conn = await connect(dsn, application_name="bench")
        try:
            async with conn.transaction():
                callers = await make_users(conn, "Caller", count, CURRENCY)
                await grant(conn, callers, f"grant:{new_id()}", CURRENCY)
                callees = await make_users(conn, "Provider", count, CURRENCY)
                await make_providers(conn, callees, PRICE_MINOR)
            # Not the tables of calls: to the planner, analysed while empty means empty for good.
            await conn.execute("vacuum analyze users, provider, account")
        finally:
            await conn.close()
        return [
            (self.login(caller), self.login(callee))
            for caller, callee in zip(callers, callees, strict=True)
        ]


def own_cpu_s() -> float:
    times = os.times()
    return times.user + times.system
