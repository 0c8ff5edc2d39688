"""What the commands of `talktime` share: settings for them, and faults said in a sentence."""

import contextlib
import sys
from collections.abc import Iterator
from typing import NoReturn

import typer

from server.config import Config, ConfigError


def fail(text: str) -> NoReturn:
    print(text, file=sys.stderr)
    raise typer.Exit(1)


def settings(*, dev: bool) -> Config:
    try:
        return Config.load(dev=dev)
    except ConfigError as error:
        fail("The settings do not hold:\n" + "\n".join(f"  {line}" for line in error.faults))


@contextlib.contextmanager
def plainly() -> Iterator[None]:
    """What the operator can mend is said in a sentence, without a traceback."""
    try:
        yield
    except Exception as error:
        _say(error)
        raise


def _say(error: Exception) -> None:
    # Loaded when something is wrong: much of it is for other commands.
    from server.embedded import EmbeddedError
    from server.embedded_valkey import ValkeyError
    from server.serving import CannotListen
    from server.workers import WorkersError
    from signalling.nodes.bus import Misconfigured
    from storage.errors import Unavailable
    from storage.migrate import MigrationError
    from storage.nodes import NodeTaken
    from storage.pool import LOST

    told = (
        CannotListen,
        EmbeddedError,
        MigrationError,
        Misconfigured,
        NodeTaken,
        ValkeyError,
        WorkersError,
    )
    if isinstance(error, told):
        fail(str(error))
    if isinstance(error, (Unavailable, *LOST)):
        fail(f"no database: {error}\ncheck DATABASE_URL, and that PostgreSQL runs")
    state = getattr(error, "sqlstate", None) or ""  # PostgreSQL has answered.
    if state.startswith(("28", "3D")):  # a wrong user or password; no such database
        fail(f"no database: {error}\ncheck DATABASE_URL")
    if state == "42P01":
        fail("the database has no tables yet: run `talktime migrate`")


def load_tool(*, makes: bool = False) -> Config:
    """Settings for a command beside the server: those of development if none are given.

    Unless the command `makes` a database, there must be one: a typo must not make an empty one.
    """
    try:
        config = Config.load()
    except ConfigError:
        config = settings(dev=True)
    embedded = config.data_dir / "postgres"
    if not (makes or config.secret("database_url") or embedded.exists()):
        fail(f"There is no database in {config.data_dir}, and DATABASE_URL is not set.")
    return config
