"""A job that does nothing but come through: it tests the queue, from the promise to the handler."""

from __future__ import annotations

import structlog

from storage import jobs
from storage.pool import Connection

JOB = "hello_job"
MESSAGE_CHARS_MAX = 200

_log = structlog.stdlib.get_logger(__name__)


async def promise(conn: Connection, message: str) -> None:
    """`message` is of 1 to 200 characters; the caller checks."""
    await jobs.enqueue(conn, JOB, {"message": message})


async def say_hello(payload: dict[str, object]) -> None:
    """The handler. The runner counts it; the log says that it came, not what it said, which may be
    about people."""
    _log.info(JOB, chars=len(str(payload["message"])))
