"""The lives of server processes: claims on a name, fencing, and the calls they leave behind."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec
from msgspec.structs import astuple

from storage import ledger
from storage.pool import Connection
from storage.works import HandedOver, HandOver


class NodeTaken(Exception):
    """Another live process runs under the same node name."""


class NodeClaim(msgspec.Struct, frozen=True):
    epoch: int
    name: str
    platform_account: int

    @property
    def address(self) -> str:
        return address(self.name, self.epoch)


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """A live call whose owner is fenced or has handed it over, as it was last committed.

    Billable time had been `billable_ms` at `asof_ms` and ran on from there if `running`; `beat_ms`
    is the owner's clock before which everything it saw is committed, and `silent_ms` how long ago
    that was. The devices are those that are the legs. `tariff` is JSON. `left` is what the owner
    wrote down when it handed the call over.
    """

    call_id: UUID
    caller_id: UUID
    caller_name: str
    caller_avatar: str | None
    callee_id: UUID
    callee_name: str
    callee_avatar: str | None
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
    silent_ms: int
    claim: int
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
    left: bytes | None = None
    left_now_ms: int = 0
    left_age_ms: int = 0


class Standing(msgspec.Struct, frozen=True):
    """A live call and who owns it. `orphaned`: its owner is gone, or has handed it over."""

    call_id: UUID
    caller_id: UUID
    callee_id: UUID
    node: str
    epoch: int
    claim: int
    orphaned: bool

    @property
    def address(self) -> str:
        return address(self.node, self.epoch)


def address(name: str, epoch: int) -> str:
    """What a life of a node is called between nodes."""
    return f"{name}.{epoch}"


# The first half of the key of the advisory lock on a name; any fixed number will do.
LOCK_SPACE = 0x544E4F44

FENCE = "update node set fenced = true where name = $1 and epoch < $2 and not fenced"

LEAVE = """
update node set fenced = true, left_at = clock_timestamp() where epoch = $1 and not fenced
"""

IS_DEAD = "select fenced and left_at is null from node where epoch = $1"

# A name that nobody holds: the process is gone, or has lost its connection and comes back soon.
DEAD = """
select n.epoch, n.name, n.beat_at < clock_timestamp() - $2 * interval '1 ms'
  from node n
 where not n.fenced and n.epoch <> $1 and n.beat_at < clock_timestamp() - $3 * interval '1 ms'
 order by n.epoch
"""
FENCE_STILL_DEAD = """
update node set fenced = true
 where epoch = $1 and not fenced and beat_at < clock_timestamp() - $2 * interval '1 ms'
returning epoch
"""

ORPHANED = """
select m.call_id
  from node n join meter m on m.owner_epoch = n.epoch and m.state = 'open'
 where n.fenced and n.epoch <> $1
union
select h.call_id
  from call_handover h
  join meter m on m.call_id = h.call_id and m.state = 'open' and m.owner_epoch = h.epoch
 where h.epoch <> $1 and h.at < clock_timestamp() - $2 * interval '1 ms'
"""

ADOPT = """
with taken as (
    update meter m set owner_epoch = $2, claim = m.claim + 1
      from node n
     where m.call_id = any ($1::uuid[]) and m.state = 'open' and n.epoch = m.owner_epoch
       and n.epoch <> $2
       and (n.fenced or exists (select from call_handover h
                                 where h.call_id = m.call_id and h.epoch = m.owner_epoch))
 returning m.*, n.epoch as old_epoch, n.beat_ms, n.beat_at
),
gone as (
    delete from call_handover h using taken t where h.call_id = t.call_id
 returning h.*, t.old_epoch
)
select c.id as call_id, c.caller_id, r.name as caller_name, r.avatar_url as caller_avatar,
       c.callee_id, coalesce(p.display_name, e.name) as callee_name, e.avatar_url as callee_avatar,
       coalesce(c.caller_leg, c.caller_device) as caller_device, c.callee_device,
       c.request_id, c.kind, c.connect_on, c.state, c.note, c.tariff::text as tariff,
       (extract(epoch from c.created_at) * 1000)::bigint as created_ms,
       (extract(epoch from c.ringing_at) * 1000)::bigint as ringing_ms,
       (extract(epoch from c.accepted_at) * 1000)::bigint as accepted_ms,
       (extract(epoch from c.connected_at) * 1000)::bigint as connected_ms,
       t.old_epoch as epoch, t.beat_ms,
       greatest(0, extract(epoch from clock_timestamp() - t.beat_at) * 1000)::bigint as silent_ms,
       t.claim, t.payer, t.bonus, t.payee, t.platform, t.billable_ms, t.asof_ms, t.running,
       t.charged as charged_minor, t.earned as earned_minor, t.hold as hold_minor,
       a.posted - a.held - a.floor + coalesce(b.posted - b.held, 0) as available_minor,
       h.state as left, coalesce(h.now_ms, 0) as left_now_ms,
       coalesce(greatest(0, extract(epoch from clock_timestamp() - h.at) * 1000), 0)::bigint
           as left_age_ms
  from taken t
  join call c on c.id = t.call_id
  join users r on r.id = c.caller_id
  join users e on e.id = c.callee_id
  left join provider p on p.user_id = c.callee_id and t.payee is not null
  join account a on a.id = t.payer
  left join account b on b.id = t.bonus
  left join gone h on h.call_id = t.call_id and h.epoch = t.old_epoch
 order by c.created_at, c.id
"""

STANDING = """
select c.id, c.caller_id, c.callee_id, n.name, n.epoch, m.claim,
       n.fenced or exists (select from call_handover h
                            where h.call_id = m.call_id and h.epoch = m.owner_epoch)
  from meter m
  join node n on n.epoch = m.owner_epoch
  join call c on c.id = m.call_id
 where m.call_id = {call} and m.state = 'open'
"""
OF_CALL = STANDING.format(call="$1")
OF_USER = STANDING.format(call="(select s.call_id from call_slot s where s.user_id = $1)")


HAND_OVER = """
insert into call_handover (call_id, epoch, now_ms, state)
select w.call_id, $1, w.now_ms, w.state
  from unnest($2::uuid[], $3::bigint[], $4::bytea[]) as w(call_id, now_ms, state)
  join meter m on m.call_id = w.call_id and m.state = 'open' and m.owner_epoch = $1
    on conflict (call_id) do update
   set epoch = excluded.epoch, now_ms = excluded.now_ms, at = clock_timestamp(),
       state = excluded.state
returning call_id
"""


async def hand_over(conn: Connection, epoch: int, works: Sequence[HandOver]) -> list[HandedOver]:
    """Write down what other nodes need to go on with these calls. One call once."""
    rows = await conn.fetch(HAND_OVER, epoch, *zip(*map(astuple, works), strict=True))
    left = {row[0] for row in rows}
    return [HandedOver(work.call_id in left) for work in works]


async def hold_name(conn: Connection, name: str) -> bool:
    """Lock the name for as long as `conn` stays open; false if another process has it."""
    mine: bool = await conn.fetchval(
        "select pg_try_advisory_lock($1, hashtext($2))", LOCK_SPACE, name
    )
    return mine


async def claim_node(conn: Connection, name: str, beat_ms: int, currency: str = "PTS") -> NodeClaim:
    """Begin a life under `name`: a new epoch, with the earlier ones of that name fenced.

    The name is locked for as long as `conn` stays open: keep it, outside any pool, until the end.
    `beat_ms` is the node clock's time now.

    Raises:
        NodeTaken: another live process has the name.
    """
    if not await hold_name(conn, name):
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


async def leave(conn: Connection, epoch: int) -> None:
    """This life is over, in an orderly way; calls that it still owns are anybody's."""
    await conn.execute(LEAVE, epoch)


async def fence_dead(conn: Connection, epoch: int, *, lease_ms: int, lost_ms: int) -> list[int]:
    """Fence the nodes that are dead; returns their epochs.

    Dead is who has not beaten for `lease_ms`, or for `lost_ms` while nobody holds its name's lock,
    which goes with the process. Ask only if our own beats went on all the while: when the
    database was away, it was away for everybody.
    """
    dead = []
    for other, name, silent in await conn.fetch(DEAD, epoch, lease_ms, lost_ms):
        async with conn.transaction():
            if not silent and not await conn.fetchval(
                "select pg_try_advisory_xact_lock($1, hashtext($2))", LOCK_SPACE, name
            ):
                continue
            # It may have beaten meanwhile; this also waits for a slice that is being committed.
            age_ms = lease_ms if silent else lost_ms
            if await conn.fetchval(FENCE_STILL_DEAD, other, age_ms) is not None:
                dead.append(other)
    return dead


async def is_dead(conn: Connection, epoch: int) -> bool:
    """Whether this life of a node was found dead; one that ended in order was not."""
    dead: bool | None = await conn.fetchval(IS_DEAD, epoch)
    return dead is not False


async def orphaned(conn: Connection, epoch: int, *, handed_ms: int = 0) -> list[UUID]:
    """The live calls that nobody runs: of fenced nodes, and handed over `handed_ms` ago at least
    without anybody having taken them."""
    rows = await conn.fetch(ORPHANED, epoch, handed_ms)
    return [row[0] for row in rows]


async def adopt(conn: Connection, call_ids: Sequence[UUID], epoch: int) -> list[Orphan]:
    """Take calls over that nobody runs, oldest first; those that somebody else took, that have
    ended, or whose owner lives, are left. What is returned is this epoch's now."""
    rows = await conn.fetch(ADOPT, list(call_ids), epoch)
    return [Orphan(**{**row, "tariff": row["tariff"].encode()}) for row in rows]


async def standing_of_call(conn: Connection, call_id: UUID) -> Standing | None:
    """Who owns a call; None when it is not live."""
    row = await conn.fetchrow(OF_CALL, call_id)
    return None if row is None else Standing(*row)


async def standing_of_user(conn: Connection, user_id: UUID) -> Standing | None:
    """The live call that a user is in, and who owns it."""
    row = await conn.fetchrow(OF_USER, user_id)
    return None if row is None else Standing(*row)


class Life(msgspec.Struct, frozen=True):
    """One life of a node, as operators see it. `beat_age_s` is how long it has been silent, `calls`
    how many live calls it owns. `state` is live, left (it ended in order) or fenced (found dead, or
    replaced by its own next life)."""

    name: str
    epoch: int
    state: str
    started_at: datetime
    beat_age_s: float
    calls: int


async def list_lives(conn: Connection, limit: int) -> list[Life]:
    """The lives that go on, then those that ended, the latest first; `limit` in all."""
    rows = await conn.fetch(
        """
        select n.name, n.epoch,
               case when not n.fenced then 'live' when n.left_at is not null then 'left'
                    else 'fenced' end,
               n.started_at,
               greatest(0, extract(epoch from clock_timestamp() - n.beat_at))::float8,
               (select count(*) from meter m where m.owner_epoch = n.epoch and m.state = 'open')
          from node n order by n.fenced, n.epoch desc limit $1
        """,
        limit,
    )
    return [Life(*row) for row in rows]
