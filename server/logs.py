"""Logs: one line per event, JSON in production and coloured text for people.

structlog and the standard library's loggers (aiohttp, aiortc, asyncio) go the same way, and every
line carries what is bound to the current task: `request_id`, `call_id`. Texts are scrubbed of
what is about people (`server/scrub.py`).
"""

from __future__ import annotations

import logging
import sys
from contextlib import AbstractContextManager
from typing import Any, TextIO

import orjson
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from server.scrub import scrub_within

# Quiet below these levels, whatever ours is. aiohttp-jwt logs a traceback for each bad token;
# aioice and aiortc log every packet of their handshakes. `server/jobs.py` tells of its jobs itself.
QUIET = {
    "aiohttp_jwt.middleware": logging.CRITICAL + 1,
    "aiohttp.access": logging.WARNING,
    "aioice": logging.WARNING,
    "aiortc": logging.WARNING,
    "asyncio": logging.WARNING,
    "libav": logging.ERROR,
    "pgqueuer": logging.CRITICAL,
}


# Type, text and places of an exception and its causes, as data; never the values of variables.
_exceptions = structlog.processors.ExceptionRenderer(
    structlog.tracebacks.ExceptionDictTransformer(show_locals=False, max_frames=30)
)


def bind(**ids: str) -> None:
    """Bind ids to every line of this task, to its end: each request is a task of its own."""
    structlog.contextvars.bind_contextvars(**ids)


def bound(**ids: object) -> AbstractContextManager[None]:
    """Bind ids (`request_id=...`, `call_id=...`) to every line of this task, while inside."""
    return structlog.contextvars.bound_contextvars(**ids)


def _scrub(_logger: WrappedLogger, _name: str, event: EventDict) -> EventDict:
    """The last wall: what libraries put into their texts must not get into the log."""
    return {name: scrub_within(value) for name, value in event.items()}


def _to_json(_logger: WrappedLogger, _name: str, event: EventDict) -> str:
    return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _leave_out_the_caller() -> None:
    """Nothing here shows from which line, thread or process a line came: finding that out (see
    "Optimization" in the logging HOWTO) is a fifth of the cost of a line."""
    logging._srcfile = None
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def configure(*, level: str, form: str, stream: TextIO | None = None) -> None:
    """Route all logging to `stream` (standard error by default); call it once, at start.

    `level` is a name such as `info`; `form` is `json` or `text`.
    """
    _leave_out_the_caller()
    out = stream or sys.stderr
    last: list[Processor]
    if form == "json":
        last = [_exceptions, _scrub, _to_json]
    else:
        plain = structlog.dev.plain_traceback
        console = structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=plain)
        last = [structlog.processors.format_exc_info, _scrub, console]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name, quiet in QUIET.items():
        logging.getLogger(name).setLevel(max(quiet, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_shared(),
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        # A cached logger would outlive a second `configure`, and keep a test's closed stream.
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> Any:
    """A logger whose methods take an event name and keyword values: `log.info("x", y=1)`."""
    return structlog.stdlib.get_logger(name)
