"""`python -m tests.cluster [--plain]`: two nodes, a call between them, and what befalls them.

Starts PostgreSQL and Valkey from their wheels, two nodes, and coturn if it is installed. Exits with
1 when anything is not as it must be.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

from server.embedded import EmbeddedError, EmbeddedPostgres
from server.embedded_valkey import EmbeddedValkey, ValkeyError
from server.screens import CallScreen
from signalling.client.envelope import Backoff, CommandRefused, WireStopped
from signalling.client.rest import ApiError
from storage.migrate import migrate
from tests.cluster import acts
from tests.cluster.findings import Findings
from tests.cluster.stage import ONE, TWO, Stage
from tests.end_to_end.coturn import coturn
from tests.end_to_end.fleet import Fleet

RUN_MAX_S = 240.0
FAULTS = (ApiError, CommandRefused, WireStopped, ConnectionError, TimeoutError, AssertionError)


async def run(console: Console, directory: Path, dsn: str, redis_url: str, *, plain: bool) -> int:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    findings = Findings()
    try:
        async with contextlib.AsyncExitStack() as opened, asyncio.timeout(RUN_MAX_S):
            stage = await set_up(console, opened, directory, dsn, redis_url, findings, plain=plain)
            await play(stage)
    except FAULTS as fault:
        findings.add("", "the show broke off", f"{type(fault).__name__}: {fault}", False)
        log(console, directory)
    findings.print(console)
    if not findings.hold:
        console.print(Text("not everything is as it must be", "bold red"))
        return 1
    return 0


async def set_up(
    console: Console,
    opened: contextlib.AsyncExitStack,
    directory: Path,
    dsn: str,
    redis_url: str,
    findings: Findings,
    *,
    plain: bool,
) -> Stage:
    await migrate(dsn)
    settings = {
        "DATABASE_URL": dsn,
        "REDIS_URL": redis_url,
        "TALKTIME_REDIS_PREFIX": secrets.token_hex(6),
    }
    relay = None
    if shutil.which("turnserver"):
        (directory / "coturn").mkdir()
        relay = await opened.enter_async_context(coturn(directory / "coturn"))
        settings |= {f"TALKTIME_{name.upper()}": text for name, text in relay.settings().items()}
    else:
        console.print("coturn is not installed: the relayed call is left out (apt install coturn)")
    # The client's own backoff, as in an app.
    fleet = Fleet(directory, settings, backoff=Backoff())
    opened.push_async_callback(fleet.close)
    for name in (ONE, TWO):
        await fleet.start(name)
        console.print(f"node {name} listens at {fleet[name].url}")
    screen = opened.enter_context(CallScreen(console, plain=plain))
    stage = Stage(fleet, dsn, screen, findings, relay)
    await stage.together(ONE)
    return stage


async def play(stage: Stage) -> None:
    async with stage.phones():
        stage.wallet = (await stage.mia.api.balance()).balance
        await acts.connect(stage)
        async with stage.shown():
            await acts.kill(stage)
            await acts.replace(stage)
            await acts.relayed(stage)
            await acts.settle(stage)


def log(console: Console, directory: Path) -> None:
    """The last lines of what the nodes have said."""
    for name in (ONE, TWO):
        path = directory / name / "server.log"
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        for line in lines[-10:]:
            console.print(Text(f"{name}: {line}", "dim"), soft_wrap=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    parser.add_argument("--plain", action="store_true", help="lines instead of a live view")
    given = parser.parse_args()
    console = Console()
    began_s = time.monotonic()
    # The database's own user must be able to pass through it.
    directory = Path(tempfile.mkdtemp(prefix="talktime-cluster-"))
    directory.chmod(0o711)
    postgres, valkey = EmbeddedPostgres(directory, durable=False), EmbeddedValkey()
    try:
        dsn, redis_url = postgres.start(), valkey.start()
        code = asyncio.run(run(console, directory, dsn, redis_url, plain=given.plain))
    except (EmbeddedError, ValkeyError) as error:
        console.print(str(error), markup=False)
        code = 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        code = 130
    finally:
        valkey.stop()
        postgres.stop()
        shutil.rmtree(directory, ignore_errors=True)
    console.print(f"{time.monotonic() - began_s:.0f} s")
    return code


if __name__ == "__main__":
    sys.exit(main())
