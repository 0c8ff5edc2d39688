"""Which job is done by whom: one line for each name that is promised anywhere."""

from __future__ import annotations

from collections.abc import Callable

from rest.auth.codes import CodeKey
from rest.auth.sms.jobs import SmsJobs
from rest.auth.sms.port import Sms
from server.config import Config
from server.jobs import Handler
from storage.pool import Pool


def job_handlers(
    pool: Pool,
    config: Config,
    *,
    codes: CodeKey,
    sms: Sms | None,
    clock: Callable[[], int],
    otp_sent: Callable[[str], None],
) -> dict[str, Handler]:
    """Handlers by name, for the runner; each takes the payload that its job was promised with.

    `otp_sent` hears what became of each code that was to be sent.
    """
    handlers: dict[str, Handler] = {}
    if sms is not None:
        handlers |= SmsJobs(
            pool, sms, codes, text=config.otp_text, clock=clock, sent=otp_sent
        ).handlers()
    return handlers
