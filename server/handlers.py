"""Which job is done by whom: one line for each name that is promised anywhere."""

from __future__ import annotations

from collections.abc import Callable

from rest.auth.sms.jobs import SmsJobs
from rest.auth.sms.port import Sms
from rest.graphql import hello
from rest.notifications import announce
from rest.payments import refunds
from server.jobs import Handler
from server.routes import Parts
from server.suspended_calls import SuspendedCalls
from storage import objects, settlement


def job_handlers(
    parts: Parts,
    *,
    sms: Sms | None,
    otp_sent: Callable[[str], None],
    kick: Callable[[], None],
) -> dict[str, Handler]:
    """Handlers by name, for the runner; each takes the payload that its job was promised with.

    Without `sms` nobody sends codes. `otp_sent` hears what became of each that was to be sent;
    `kick` wakes the relay of the outbox.
    """
    pool, config = parts.pool, parts.config
    handlers: dict[str, Handler] = {
        objects.REMOVE_JOB: parts.objects.remove,
        hello.JOB: hello.say_hello,
        announce.JOB: announce.Announcer(pool, kick=kick).announce,
        settlement.REFUND_JOB: refunds.RefundJobs(pool, parts.gateways).refund,
        **SuspendedCalls(pool, parts.actions.stop).handlers(),
    }
    if sms is not None:
        sending = SmsJobs(
            pool, sms, parts.codes, text=config.otp_text, clock=parts.clock, sent=otp_sent
        )
        handlers |= sending.handlers()
    return handlers
