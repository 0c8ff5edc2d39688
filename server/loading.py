"""`talktime load`: its users, its files, and the report on the screen.

The accounts are made straight in the database and their tokens with the server's own secret, for
sign-up is limited per address. That is for development: the callers are given money. What is made
once can be kept in a file, and used from another machine.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from time import time
from uuid import UUID

import msgspec
from rich.console import Console

from rest.auth.tokens import TokenKeys
from server.config import Config
from server.pages import WEB
from server.people import make_provider
from signalling.client.load.device import Login, Pair
from signalling.client.load.files import Charts, write_csv, write_html, write_json
from signalling.client.load.plan import Plan
from signalling.client.load.report import Report
from signalling.client.load.run import Job, make_room, run_load
from signalling.client.load.screen import Screen
from storage import credentials, ledger, users, wallet
from storage.ids import new_id
from storage.pool import Connection, connect

PRICE_MINOR = 120
RICH_MINOR = 1_000_000
# For the calls of a glare that the provider pays.
CALLEE_MINOR = 1_000
# A run is over before its tokens are.
TOKEN_TTL_S = 12 * 3_600
CHUNK = 50
WIDE = 160
CREW_BYTES_MAX = 256 << 20
# Of all couples, at least one if there is such a scenario.
POOR = "out-of-money"

HINT = (
    "The server's limits for one address or user stopped some of it. For a load, start it with "
    "TALKTIME_ADDRESS_PER_S=0 and TALKTIME_USER_PER_S=0, and TALKTIME_SOCKETS_PER_ADDRESS_MAX, "
    "TALKTIME_CALL_REQUEST_BURST, TALKTIME_CALLS_PER_HOUR_MAX and TALKTIME_COOLDOWN_CALLS set high."
)
LIMITS = frozenset({"rate_limited", "cooldown", "RATE_LIMITED", "http_429"})


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """What to run, for whom, and what to write: `csv` is the beginning of the names of two files.

    `allow_remote` is judged by who calls `load`.
    """

    url: str
    plan: Plan
    thresholds: tuple[str, ...] = ()
    workers: int = 1
    server_pids: tuple[int, ...] = ()
    json: Path | None = None
    csv: Path | None = None
    html: Path | None = None
    plain: bool = False


async def load(wanted: Load, pairs: Sequence[Pair], console: Console) -> int:
    """Run it and print the report. The exit code: 0, 1 if calls failed, 99 for a threshold."""
    warning = make_room(pairs, wanted.workers)
    if warning:
        console.print(warning, style="yellow")
    job = Job(
        url=wanted.url,
        plan=wanted.plan,
        pairs=list(pairs),
        workers=wanted.workers,
        thresholds=wanted.thresholds,
        server_pids=wanted.server_pids,
    )
    stop = asyncio.Event()
    with Screen(console, plain=wanted.plain) as screen, _ctrl_c(stop):
        report = await run_load(job, show=screen.show, stop=stop)
    if not console.is_terminal:
        # A file or a pipe has no width; the table should not be folded there.
        console.width = max(console.width, WIDE)
    console.print(report, soft_wrap=True)
    if limited(report.errors):
        console.print(HINT)
    write(wanted, report)
    return report.exit_code


@contextlib.contextmanager
def _ctrl_c(stop: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C ends the run as its time would; a second one ends everything."""
    loop = asyncio.get_running_loop()

    def once() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)

    try:
        loop.add_signal_handler(signal.SIGINT, once)
    except (NotImplementedError, RuntimeError, ValueError):
        yield  # Not the main thread, or not a system that has this.
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def write(wanted: Load, report: Report) -> None:
    """The files that are wanted."""
    if wanted.json is not None:
        write_json(report, wanted.json)
    if wanted.csv is not None:
        write_csv(report, wanted.csv)
    if wanted.html is not None:
        chart = WEB / "vendor" / "uplot"
        charts = Charts((chart / "uplot.js").read_text(), (chart / "uplot.css").read_text())
        write_html(report, wanted.html, charts)


def limited(errors: Mapping[str, Mapping[str, int]]) -> bool:
    """Whether the server's limits, and not its strength, shaped the run."""
    return any(not LIMITS.isdisjoint(codes) for codes in errors.values())


def poor_of(couples: int, scenarios: Mapping[str, float]) -> int:
    """How many couples have a caller who can pay for one unit only."""
    share = scenarios.get(POOR, 0) / sum(scenarios.values())
    return min(couples, max(1, round(couples * share))) if share else 0


async def make_pairs(config: Config, dsn: str, couples: int, poor: int = 0) -> list[Pair]:
    """So many callers with money for the run and the providers they ring; the last `poor` of the
    callers can pay for one unit. Those of earlier runs are used again."""
    keys = TokenKeys(config.secret("jwt_secret"), TOKEN_TTL_S)
    conn = await connect(dsn, application_name="talktime load")
    pairs: list[Pair] = []
    try:
        for first in range(0, couples, CHUNK):
            numbers = range(first, min(first + CHUNK, couples))
            pairs += await _make_some(conn, config, keys, numbers, couples - poor)
    finally:
        await conn.close()
    return pairs


async def _make_some(
    conn: Connection, config: Config, keys: TokenKeys, numbers: range, rich: int
) -> list[Pair]:
    """In one transaction, with one operation for all their money."""
    made: list[Pair] = []
    moves: list[ledger.Move] = []
    async with conn.transaction():
        promo = await ledger.system_account(conn, "promo", "", config.currency)
        for number in numbers:
            poor = number >= rich
            kind = "poor" if poor else "caller"
            caller = await find_or_make(conn, config, f"load-{kind}-{number}")
            callee = await find_or_make(conn, config, f"load-callee-{number}")
            await make_provider(conn, callee, f"Load {number}", PRICE_MINOR)
            wanted = {caller: PRICE_MINOR if poor else RICH_MINOR, callee: CALLEE_MINOR}
            for user_id, amount in wanted.items():
                missing = amount - await _spending(conn, user_id, config.currency)
                accounts = await ledger.open_accounts(conn, user_id, config.currency)
                if missing > 0:
                    moves.append(ledger.Move(promo, accounts["call_credits"], missing, "grant"))
            made.append(Pair(login(keys, caller), login(keys, callee), poor))
        if moves:
            await ledger.post(conn, key=f"grant:load:{new_id()}", kind="grant", moves=moves)
    return made


async def _spending(conn: Connection, user_id: UUID, currency: str) -> int:
    found = await wallet.read_balance(conn, user_id, currency)
    return 0 if found is None else found.posted_minor


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


async def keep_crew(path: Path, pairs: Sequence[Pair]) -> None:
    """Write the users with their tokens, for this user of the machine alone."""

    def write_it() -> None:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(list(pairs)))

    await asyncio.to_thread(write_it)


def read_crew(path: Path, couples: int = 0) -> list[Pair]:
    """The users that `keep_crew` wrote; so many couples of them, or all.

    Raises:
        ValueError: it is no such file, or has too few.
        OSError: it cannot be read.
    """
    if path.stat().st_size > CREW_BYTES_MAX:
        raise ValueError(f"{path} is too large for a file of users.")
    try:
        pairs = msgspec.json.decode(path.read_bytes(), type=list[Pair])
    except msgspec.DecodeError as fault:
        raise ValueError(f"{path} is no file of users: {fault}") from None
    if couples > len(pairs):
        raise ValueError(f"{path} has {2 * len(pairs)} users, fewer than {2 * couples}.")
    return pairs[:couples] if couples else pairs
