"""How often something may be done, counted where all nodes and their restarts see the same.

A key's window begins with its first use and ends a fixed time later; then it counts from 0 again.
"""

from __future__ import annotations

import msgspec

from storage.pool import Connection


class Quota(msgspec.Struct, frozen=True):
    """At most `most` uses of `key` in a window of `window_ms`."""

    key: str
    most: int
    window_ms: int


async def take(conn: Connection, quota: Quota, now_ms: int) -> int:
    """Count one use. 0 if it is allowed, else the ms until the window ends, and nothing counted.

    The row stays locked until the caller's transaction ends: with several quotas, always take them
    in the same order.
    """
    taken = await conn.fetchval(
        """
        insert into quota as q (key, used, ends_ms) values ($1, 1, $4::bigint + $3::bigint)
        on conflict (key) do update
            set used = case when q.ends_ms > $4 then q.used + 1 else 1 end,
                ends_ms = case when q.ends_ms > $4 then q.ends_ms else excluded.ends_ms end
            where q.used < $2 or q.ends_ms <= $4
        returning true
        """,
        quota.key,
        quota.most,
        quota.window_ms,
        now_ms,
    )
    if taken:
        return 0
    ends_ms: int = await conn.fetchval("select ends_ms from quota where key = $1", quota.key)
    return max(1, ends_ms - now_ms)


async def lock(conn: Connection, key: str) -> None:
    """Let nobody else count until the caller's transaction ends, as `take` does."""
    await conn.execute("select from quota where key = $1 for update", key)


async def give_back(conn: Connection, key: str) -> None:
    """The use that was counted last shall not have counted."""
    await conn.execute("update quota set used = used - 1 where key = $1 and used > 0", key)


async def sweep(conn: Connection, *, limit: int = 1_000) -> int:
    """Forget up to `limit` windows that ended more than an hour ago; how many there were."""
    done = await conn.execute(
        """
        delete from quota where ctid = any (array(
            select ctid from quota
            where ends_ms < (extract(epoch from now() - interval '1 hour') * 1000)::bigint
            order by ends_ms limit $1
        ))
        """,
        limit,
    )
    return int(done.split()[-1])
