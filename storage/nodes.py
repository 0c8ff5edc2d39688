"""The lives of server processes: claims on a name, fencing, and the calls they leave behind."""

from collections.abc import Sequence
from uuid import UUID

import msgspec

from storage import ledger
from storage.pool import Connection


class NodeTaken(Exception):
    """Another live process runs under the same node name."""


class NodeClaim(msgspec.Struct, frozen=True):
    epoch: int
    name: str
    platform_account: int


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """A live call whose owner was fenced, as it was last committed.

    Billable time had been `billable_ms` at `asof_ms` and ran on from there if `running`; `beat_ms`
    is the owner's clock before which everything it saw is committed. `tariff` is JSON.
    """

    call_id: UUID
    caller_id: UUID
    callee_id: UUID
    caller_device: str
    callee_device: str | None
    request_id: str | None
    kind: str
    connect_on: str
    state: str
    note: str | None
    tariff: bytes
    created_ms: int
    ringing_ms: int | None
    accepted_ms: int | None
    connected_ms: int | None
    epoch: int
    beat_ms: int
    payer: int
    bonus: int | None
    payee: int | None
    platform: int
    billable_ms: int
    asof_ms: int
    running: bool
    charged_minor: int
    earned_minor: int
    hold_minor: int
    available_minor: int


# The first half of the key of the advisory lock on a name; any fixed number will do.
LOCK_SPACE = 0x544E4F44

FENCE = "update node set fenced = true where name = $1 and epoch < $2 and not fenced"

ORPHANS = """
select c.id as call_id, c.caller_id, c.callee_id, c.caller_device, c.callee_device, c.request_id,
       c.kind, c.connect_on, c.state, c.note, c.tariff::text as tariff,
       (extract(epoch from c.created_at) * 1000)::bigint as created_ms,
       (extract(epoch from c.ringing_at) * 1000)::bigint as ringing_ms,
       (extract(epoch from c.accepted_at) * 1000)::bigint as accepted_ms,
       (extract(epoch from c.connected_at) * 1000)::bigint as connected_ms,
       n.epoch, n.beat_ms, m.payer, m.bonus, m.payee, m.platform, m.billable_ms, m.asof_ms,
       m.running, m.charged as charged_minor, m.earned as earned_minor, m.hold as hold_minor,
       a.posted - a.held - a.floor + coalesce(b.posted - b.held, 0) as available_minor
  from node n
  join meter m on m.owner_epoch = n.epoch and m.state = 'open'
  join call c on c.id = m.call_id
  join account a on a.id = m.payer
  left join account b on b.id = m.bonus
 where n.fenced and n.epoch < $1
 order by c.created_at, c.id
"""

ADOPT = """
update meter m set owner_epoch = $2
  from node n
 where m.call_id = any ($1::uuid[]) and m.state = 'open'
   and n.epoch = m.owner_epoch and n.fenced and n.epoch < $2
returning m.call_id
"""


async def claim_node(conn: Connection, name: str, beat_ms: int, currency: str = "PTS") -> NodeClaim:
    """Begin a life under `name`: a new epoch, with the earlier ones of that name fenced.

    The name is locked for as long as `conn` stays open: keep it, outside any pool, until the end.
    `beat_ms` is the node clock's time now.

    Raises:
        NodeTaken: another live process has the name.
    """
    mine = await conn.fetchval("select pg_try_advisory_lock($1, hashtext($2))", LOCK_SPACE, name)
    if not mine:
        raise NodeTaken(
            f"another process runs as node {name!r} on this database: "
            "stop it, or give this one another name"
        )
    async with conn.transaction():
        epoch: int = await conn.fetchval(
            "insert into node (name, beat_ms) values ($1, $2) returning epoch", name, beat_ms
        )
        # Waits for a slice of the old owner that is on its way to its commit.
        await conn.execute(FENCE, name, epoch)
        platform = await ledger.system_account(conn, "platform_fee", name, currency)
    return NodeClaim(epoch, name, platform)


async def orphans(conn: Connection, epoch: int) -> list[Orphan]:
    """The live calls of fenced epochs older than `epoch`, oldest call first."""
    rows = await conn.fetch(ORPHANS, epoch)
    return [Orphan(**{**row, "tariff": row["tariff"].encode()}) for row in rows]


async def adopt(conn: Connection, call_ids: Sequence[UUID], epoch: int) -> list[UUID]:
    """Take calls over from fenced epochs; those that somebody else took, or that ended, are left.

    Returns the calls that are this epoch's now.
    """
    rows = await conn.fetch(ADOPT, list(call_ids), epoch)
    return [row[0] for row in rows]
