"""Kept answers: a request repeated under its key gets the first answer and has no second effect."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from storage.errors import IdempotencyMismatch, Refusal
from storage.pool import Connection

KEPT_HOURS = 24
# An attempt without an answer for this long, or whose node was found dead, has crashed: its key may
# be tried again.
CRASHED_AFTER_S = 60


class InProgress(Refusal):
    """The first request with this key is still being worked on."""

    code = "idempotency_in_progress"


class Claim(msgspec.Struct, frozen=True):
    """The right to answer a request; `claimed_at` tells this attempt from a later one."""

    user_id: UUID
    route: str
    key: str
    claimed_at: datetime


class Kept(msgspec.Struct, frozen=True):
    """The answer that was given: HTTP status and body."""

    status: int
    answer: bytes


async def claim(
    conn: Connection,
    *,
    user_id: UUID,
    route: str,
    key: str,
    body_hash: bytes,
    epoch: int | None = None,
) -> Claim | Kept:
    """Begin a request under its key, or find the answer it already got.

    `epoch` is the life of the node that will answer; None is one that nobody watches.

    Raises:
        IdempotencyMismatch: the key belongs to a request with another body.
        InProgress: an attempt of the last 60 s, of a living node, has not answered yet.
    """
    claimed_at = await conn.fetchval(
        """
        insert into idempotency as i (user_id, route, key, body_hash, epoch, created_at)
        values ($1, $2, $3, $4, $7, clock_timestamp())
        on conflict (user_id, route, key) do update
            set body_hash = excluded.body_hash, status = null, answer = null,
                epoch = excluded.epoch, created_at = excluded.created_at
            where i.created_at < excluded.created_at - make_interval(hours => $5)
               or (i.status is null and i.body_hash = excluded.body_hash
                   and (i.created_at < excluded.created_at - make_interval(secs => $6)
                        or exists (select from node n where n.epoch = i.epoch and n.fenced)))
        returning i.created_at
        """,
        user_id,
        route,
        key,
        body_hash,
        KEPT_HOURS,
        CRASHED_AFTER_S,
        epoch,
    )
    if claimed_at is not None:
        return Claim(user_id, route, key, claimed_at)
    row = await conn.fetchrow(
        "select body_hash, status, answer from idempotency"
        " where user_id = $1 and route = $2 and key = $3",
        user_id,
        route,
        key,
    )
    if row is not None and row["body_hash"] != body_hash:
        raise IdempotencyMismatch("This key was used for a request with another body.")
    if row is None or row["status"] is None:
        # No row: the attempt that was in the way has just been released.
        raise InProgress("The first request with this key is not answered yet.")
    return Kept(row["status"], row["answer"])


async def keep(conn: Connection, claim: Claim, *, status: int, answer: bytes) -> bool:
    """Keep the answer; False when a later attempt has taken the key over."""
    done = await conn.execute(
        """
        update idempotency set status = $5, answer = $6
        where user_id = $1 and route = $2 and key = $3 and created_at = $4 and status is null
        """,
        claim.user_id,
        claim.route,
        claim.key,
        claim.claimed_at,
        status,
        answer,
    )
    return done == "UPDATE 1"


async def release(conn: Connection, claim: Claim) -> None:
    """Nothing was done and nothing is kept: the key may be used again at once."""
    await conn.execute(
        """
        delete from idempotency
        where user_id = $1 and route = $2 and key = $3 and created_at = $4 and status is null
        """,
        claim.user_id,
        claim.route,
        claim.key,
        claim.claimed_at,
    )


async def sweep(conn: Connection, *, limit: int = 1_000) -> int:
    """Forget up to `limit` answers that are older than 24 hours; how many there were."""
    done = await conn.execute(
        """
        delete from idempotency where ctid = any (array(
            select ctid from idempotency where created_at < now() - make_interval(hours => $1)
            order by created_at limit $2
        ))
        """,
        KEPT_HOURS,
        limit,
    )
    return int(done.split()[-1])
