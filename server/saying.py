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
    from server.embedded import EmbeddedError
    from server.embedded_valkey import ValkeyError
    from server.run import CannotListen
    from server.workers import WorkersError
    from signalling.nodes.bus import Misconfigured
    from storage.errors import Unavailable
    from storage.migrate import MigrationError
    from storage.nodes import NodeTaken
    from storage.pool import LOST

    try:
        yield
    except (
        CannotListen,
        EmbeddedError,
        MigrationError,
        Misconfigured,
        NodeTaken,
        ValkeyError,
        WorkersError,
    ) as error:
        fail(str(error))
    except (Unavailable, *LOST) as error:
        fail(f"no database: {error}\ncheck DATABASE_URL, and that PostgreSQL runs")
    except Exception as error:
        state = getattr(error, "sqlstate", None) or ""  # PostgreSQL has answered.
        if state.startswith(("28", "3D")):  # a wrong user or password; no such database
            fail(f"no database: {error}\ncheck DATABASE_URL")
        if state == "42P01":
            fail("the database has no tables yet: run `talktime migrate`")
        raise


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
