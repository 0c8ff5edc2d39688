"""`talktime serve`: the database, and the server on it while it runs."""

import asyncio
import contextlib
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

from server.config import Config
from server.embedded import EmbeddedPostgres


@contextlib.contextmanager
def database(config: Config, *, exclusive: bool, quiet: bool = False) -> Iterator[str]:
    """The DSN of the configured database, or of the embedded one while inside."""
    given = config.secret("database_url")
    if given:
        yield given
        return
    say = None if quiet else lambda line: print(line, file=sys.stderr, flush=True)
    embedded = EmbeddedPostgres(Path(config.data_dir), exclusive=exclusive, say=say)
    dsn = embedded.start()
    try:
        yield dsn
    finally:
        embedded.stop()


def run(config: Config) -> None:
    """Blocking; returns when the server has stopped and left nothing behind."""
    with ThreadPoolExecutor(1) as aside:
        # Loading takes as long as PostgreSQL takes to start, and most of that is waiting.
        loading = aside.submit(import_module, "server.serving")
        with database(config, exclusive=True) as dsn:
            loading.result()
            from server.serving import new_event_loop, serve

            with asyncio.Runner(loop_factory=lambda: new_event_loop(config)) as runner:
                runner.run(serve(config, dsn))
