"""`talktime load`: many calls between accounts of its own, to see what a server takes.

The accounts are made straight in the database and their tokens with the server's own secret, for
sign-up is limited per address. It is a tool for development: it gives its callers money.
"""

from collections.abc import Mapping
from pathlib import Path
from time import time
from uuid import UUID

import msgspec
from aiohttp import WSServerHandshakeError
from rich.console import Console

from rest.auth.tokens import TokenKeys
from server.config import Config
from server.people import grant, make_provider
from signalling.client.load import Login, Mix, Pair, run_load
from storage import credentials, users
from storage.ids import new_id
from storage.pool import Connection, connect

PRICE_MINOR = 1
# A run is over before its tokens are.
TOKEN_TTL_S = 3_600

HINT = (
    "The server's limits for one address or user stopped some of it. For a load, start it with "
    "TALKTIME_ADDRESS_PER_S=0 and TALKTIME_USER_PER_S=0, and TALKTIME_SOCKETS_PER_ADDRESS_MAX, "
    "TALKTIME_CALL_REQUEST_BURST, TALKTIME_CALLS_PER_HOUR_MAX and TALKTIME_COOLDOWN_CALLS set high."
)
TOO_MANY = 429
LIMITS = frozenset({"rate_limited", "cooldown"})


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `rate` is calls a second, 0 for as fast as they end; `mix` are weights."""

    pairs: int
    calls: int
    rate: float = 0
    talk_s: float = 0
    mix: Mix = Mix()
    thresholds: tuple[str, ...] = ()
    json: Path | None = None


async def load(config: Config, dsn: str, url: str, wanted: Load, console: Console) -> int:
    """Run it and print the report. The exit code: 0, 1 if calls failed, 99 for a threshold."""
    keys = TokenKeys(config.secret("jwt_secret"), TOKEN_TTL_S)
    conn = await connect(dsn, application_name="talktime load")
    try:
        pairs = [await make_pair(conn, config, keys, number) for number in range(wanted.pairs)]
    finally:
        await conn.close()
    try:
        report = await run_load(
            url,
            pairs,
            calls=wanted.calls,
            rate=wanted.rate,
            talk_s=wanted.talk_s,
            mix=wanted.mix,
            thresholds=wanted.thresholds,
        )
    except WSServerHandshakeError as refused:
        if refused.status != TOO_MANY:
            raise
        console.print(HINT)
        return 1
    console.print(report)
    if limited(report.errors):
        console.print(HINT)
    if wanted.json is not None:
        report.write(wanted.json)
    return report.exit_code


def limited(errors: Mapping[str, int]) -> bool:
    """Whether the server's limits, and not its strength, shaped the run."""
    return not LIMITS.isdisjoint(errors)


async def make_pair(conn: Connection, config: Config, keys: TokenKeys, number: int) -> Pair:
    """The run's `number`th caller, with money for this run, and the provider they ring."""
    async with conn.transaction():
        caller = await find_or_make(conn, config, f"load-caller-{number}")
        callee = await find_or_make(conn, config, f"load-callee-{number}")
        await make_provider(conn, callee, f"Load {number}", PRICE_MINOR)
        await grant(conn, caller, 10_000, config.currency, f"grant:load:{new_id()}")
    return Pair(login(keys, caller), login(keys, callee))


async def find_or_make(conn: Connection, config: Config, name: str) -> UUID:
    """An account that nobody can log in to: its password is no hash of anything."""
    email = f"{name}@load.talktime"
    known = await credentials.read_login(conn, email=email)
    if known is not None:
        return known.user_id
    user_id = await users.create_user(conn, name=name, currency=config.currency, email=email)
    await credentials.set_password(conn, user_id, "!")
    return user_id


def login(keys: TokenKeys, user_id: UUID) -> Login:
    return Login(str(user_id), keys.issue(user_id, new_id(), ["customer"], int(time())))
