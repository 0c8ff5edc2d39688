"""Errors to Sentry, where the operator wants it: what broke and where, nothing of people.

Whatever is logged as an error is sent, be it from a request, a socket, a call's timer or a job:
they all log what they catch. The library's own integrations stay off, because they read requests.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from types import TracebackType
from typing import Any

import sentry_sdk
import structlog
from sentry_sdk.types import Event, Hint
from sentry_sdk.utils import event_from_exception

from server.scrub import scrub_codes

FLUSH_S = 2.0
# Ids of ours that say which request, call or job it was.
TAGS = ("request_id", "call_id", "incident", "job", "job_id", "type", "route")
FRAME = (
    "filename", "abs_path", "function", "module", "lineno", "in_app",
    "pre_context", "context_line", "post_context",
)  # fmt: skip
KEPT = ("event_id", "timestamp", "platform", "level", "logger", "release", "environment", "tags",
        "server_name")  # fmt: skip
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class Reports:
    """Sends errors from its making on until `close`."""

    def __init__(self, dsn: str, *, release: str, environment: str, node: str) -> None:
        sentry_sdk.init(
            dsn,
            release=f"talktime@{release}",
            environment=environment,
            server_name=node,
            default_integrations=False,
            auto_enabling_integrations=False,
            include_local_variables=False,
            max_request_body_size="never",
            auto_session_tracking=False,
            send_client_reports=False,
            max_breadcrumbs=0,
            before_breadcrumb=lambda _crumb, _hint: None,
            before_send=only_ours,
            shutdown_timeout=FLUSH_S,
        )
        self._handler = Handler()
        logging.getLogger().addHandler(self._handler)

    async def close(self) -> None:
        """Send what waits, for 2 s at most."""
        logging.getLogger().removeHandler(self._handler)
        await asyncio.to_thread(sentry_sdk.get_client().close, FLUSH_S)


class Handler(logging.Handler):
    """Makes an event of each line at error level or above."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sentry_sdk.capture_event(*event_of(record))
        except Exception:
            self.handleError(record)


def event_of(record: logging.LogRecord) -> tuple[Event, Hint]:
    # structlog hands its line over as a dict, the exception in it.
    said: dict[str, Any] = record.msg if isinstance(record.msg, dict) else record.__dict__
    text = str(said["event"]) if said is record.msg else record.getMessage()
    event: Event = {}
    hint: Hint = {}
    raised = _raised(said.get("exc_info"))
    if raised is not None:
        event, hint = event_from_exception(raised, sentry_sdk.get_client().options)
    ids = {**structlog.contextvars.get_contextvars(), **said}
    event["level"] = "fatal" if record.levelno >= logging.CRITICAL else "error"
    event["logger"] = record.name
    event["logentry"] = {"message": text}
    event["tags"] = {name: str(ids[name]) for name in TAGS if ids.get(name) is not None}
    return event, hint


def _raised(given: object) -> ExcInfo | None:
    match given:
        case (_, BaseException(), _):
            return given  # type: ignore[return-value]  # the three of sys.exc_info()
        case BaseException():
            return type(given), given, given.__traceback__
        case True:
            kind, value, trace = sys.exc_info()
            return None if kind is None or value is None else (kind, value, trace)
    return None


def only_ours(event: Event, _hint: Hint) -> Event | None:
    """The event anew, of nothing but what is known to be harmless; texts are scrubbed."""
    kept: dict[str, Any] = {name: event[name] for name in KEPT if name in event}  # type: ignore[literal-required]
    message = event.get("logentry", {}).get("message")
    if message:
        kept["logentry"] = {"message": scrub_codes(str(message))}
    values = event.get("exception", {}).get("values", [])
    if values:
        kept["exception"] = {"values": [_exception(each) for each in values]}
    return kept  # type: ignore[return-value]


def _exception(value: dict[str, Any]) -> dict[str, Any]:
    frames = (value.get("stacktrace") or {}).get("frames") or []
    return {
        "type": value.get("type"),
        "module": value.get("module"),
        "value": scrub_codes(str(value.get("value"))),
        "stacktrace": {
            "frames": [{name: each.get(name) for name in FRAME if name in each} for each in frames]
        },
    }
