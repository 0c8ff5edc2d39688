"""What the books say of calls whose owner is dead, and the end of those that nobody comes back to.

A node's heartbeat is committed with its ledger work, so a beat proves that everything seen before
it is in the books. A meter that was running then ran at least until the beat; what lies behind that
nobody can prove, and nobody pays for it.
"""

import logging

import msgspec

from signalling.codes import By, Reason
from signalling.core.revival import Remains, proved_ms
from signalling.core.tariff import Tariff, cost, share, units
from signalling.events import Profile
from storage import works
from storage.nodes import Orphan

log = logging.getLogger(__name__)

_tariff = msgspec.json.Decoder(Tariff)


def remains_of(orphan: Orphan) -> Remains:
    return Remains(
        claim=orphan.claim,
        kind=orphan.kind,
        connect_on=orphan.connect_on,
        note=orphan.note,
        caller=Profile(
            user_id=orphan.caller_id, name=orphan.caller_name, avatar_url=orphan.caller_avatar
        ),
        callee=Profile(
            user_id=orphan.callee_id, name=orphan.callee_name, avatar_url=orphan.callee_avatar
        ),
        caller_device=orphan.caller_device,
        callee_device=orphan.callee_device,
        tariff=_tariff.decode(orphan.tariff),
        created_ms=orphan.created_ms,
        ringing_ms=orphan.ringing_ms,
        accepted_ms=orphan.accepted_ms,
        connected_ms=orphan.connected_ms,
        billable_ms=orphan.billable_ms,
        asof_ms=orphan.asof_ms,
        beat_ms=orphan.beat_ms,
        running=orphan.running,
        charged_minor=orphan.charged_minor,
        hold_minor=orphan.hold_minor,
        available_minor=orphan.available_minor,
    )


def closing(orphan: Orphan) -> works.Settle:
    """The settlement of a call whose owner is gone."""
    remains = remains_of(orphan)
    tariff, billable_ms = remains.tariff, proved_ms(remains)
    target_minor = max(orphan.charged_minor, cost(tariff, billable_ms))
    ended_ms = max(
        orphan.beat_ms,
        orphan.created_ms,
        orphan.ringing_ms or 0,
        orphan.accepted_ms or 0,
        orphan.connected_ms or 0,
    )
    return works.Settle(
        call_id=orphan.call_id,
        payer=orphan.payer,
        bonus=orphan.bonus,
        payee=orphan.payee,
        platform=orphan.platform,
        target_minor=target_minor,
        earned_minor=0 if orphan.payee is None else share(tariff, target_minor),
        billable_ms=billable_ms,
        talk_ms=billable_ms,
        units=units(tariff, billable_ms),
        reason=Reason.SERVER_ERROR.value,
        ended_by=By.SERVER.value,
        ended_ms=ended_ms,
    )


def tell(work: works.Settle) -> None:
    """The one line that each call leaves in the log."""
    log.info(
        "call ended",
        extra={
            "call_id": str(work.call_id),
            "reason": work.reason,
            "by": work.ended_by,
            "units": work.units,
            "charged_minor": work.target_minor,
            "talk_s": work.talk_ms // 1_000,
        },
    )
