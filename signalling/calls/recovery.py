"""Calls that a dead server left behind: closed at the last moment it is proved to have seen.

A node's heartbeat is committed with its ledger work, so a beat proves that everything seen before
it is in the books. A meter that was running then ran at least until the beat; what lies behind that
nobody can prove, and nobody pays for it.
"""

import logging
from collections.abc import Sequence

import msgspec

from signalling.codes import By, Reason
from signalling.core.tariff import Tariff, cost, horizon, share, units
from storage import nodes, works
from storage.combiner import Combiner
from storage.pool import Connection

log = logging.getLogger(__name__)

_tariff = msgspec.json.Decoder(Tariff)


def closing(orphan: nodes.Orphan) -> works.Settle:
    """The settlement of a call whose owner is gone."""
    tariff = _tariff.decode(orphan.tariff)
    billable_ms = orphan.billable_ms
    if orphan.running:
        billable_ms += max(0, orphan.beat_ms - orphan.asof_ms)
        funded_ms = horizon(tariff, orphan.charged_minor + orphan.hold_minor)
        if funded_ms is not None:
            billable_ms = max(orphan.billable_ms, min(billable_ms, funded_ms))
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


async def recover(conn: Connection, combiner: Combiner, epoch: int) -> Sequence[works.Outcome]:
    """Adopt and settle the calls of dead epochs; returns what became of each.

    Safe to repeat, and beside another node that does the same: adopting is a compare-and-set.
    """
    left = await nodes.orphans(conn, epoch)
    if not left:
        return []
    mine = set(await nodes.adopt(conn, [orphan.call_id for orphan in left], epoch))
    outcomes = []
    for orphan in left:
        if orphan.call_id in mine:
            work = closing(orphan)
            outcomes.append(await combiner.do(work))
            tell(work)
    log.warning("calls of a dead server settled", extra={"calls": len(outcomes)})
    return outcomes
