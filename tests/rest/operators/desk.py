"""What tests of the operators' routes share: log-ins of people, and what was written of them."""

from __future__ import annotations

from uuid import UUID

from storage import credentials
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.harness import FakeClock, Person, Rest

DAY_MS = 86_400_000
ADMIN = ("customer", "admin")


async def log_in(
    pool: Pool, clock: FakeClock, person: Person, device: str | None = "TalkApp/2"
) -> UUID:
    """Another log-in of theirs, now."""
    session_id = new_id()
    async with pool.acquire() as conn:
        await credentials.open_session(
            conn,
            session_id=session_id,
            user_id=person.id,
            refresh_hash=new_id().bytes * 2,
            now_ms=clock(),
            idle_ms=DAY_MS,
            lifetime_ms=DAY_MS,
            device=device,
        )
    return session_id


async def audit_of(rest: Rest, target: UUID) -> list[tuple[str, UUID, str]]:
    """Action, actor and reason of what was done to it, the first first."""
    async with rest.pool.acquire() as conn:
        rows = await conn.fetch(
            "select action, actor, reason from audit_log where target_id = $1 order by id", target
        )
    return [(row["action"], row["actor"], row["reason"]) for row in rows]
