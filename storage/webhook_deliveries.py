"""Events on their way to endpoints: made with the job that delivers them, kept for 30 days.

An event has one id for ever, which its receivers tell repeats by. A delivery is that event for one
endpoint; each of its jobs carries a `turn`, and only the job of the latest turn delivers.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

import msgspec

from storage import jobs, webhooks
from storage.ids import new_id
from storage.pool import Connection

JOB = "webhook"
ATTEMPTS_SHOWN = 100
ERROR_CHARS_MAX = 200
ANSWER_CHARS_MAX = 1_024
# Whoever wants to know of more than that asks by call or status.
COUNTED_MAX = 100_000

Status = Literal["waiting", "delivered", "failed"]


class News(msgspec.Struct, frozen=True):
    """An event to be told; `body` is what is sent, at most 64 KiB."""

    event_id: UUID
    type: str
    call_id: UUID | None
    body: str


class Due(msgspec.Struct, frozen=True):
    """A delivery whose turn it is. `secrets`: one, or two while they change. Without a `url` its
    endpoint is disabled or deleted."""

    id: UUID
    endpoint_id: UUID
    event_id: UUID
    turn: int
    tries: int
    body: str
    url: str | None
    secrets: list[str]


class Attempt(msgspec.Struct, frozen=True):
    """One try. `status` is None when there was no answer; `answer` is the beginning of one that
    was no success."""

    took_ms: int
    status: int | None = None
    error: str | None = None
    answer: str | None = None
    at: datetime | None = None


class Delivery(msgspec.Struct, frozen=True):
    id: UUID
    endpoint_id: UUID
    event_id: UUID
    type: str
    call_id: UUID | None
    status: Status
    tries: int
    created_at: datetime
    due_at: datetime
    done_at: datetime | None


_COLUMNS = (
    "id, endpoint_id, event_id, type, call_id, status, tries, created_at, due_at, done_at"
)  # fmt: skip

ADD = """
insert into webhook_delivery (id, endpoint_id, event_id, type, call_id, body)
select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::text[])
    on conflict (event_id, endpoint_id) do nothing
returning id
"""


async def add(conn: Connection, news: Sequence[News]) -> int:
    """Promise events to every endpoint that wants them; how many deliveries were made.

    An event that was promised before is left alone. Needs a transaction.
    """
    if not news:
        return 0
    wanting = await webhooks.wanting(conn)
    rows = [
        (new_id(), each.id, one.event_id, one.type, one.call_id, one.body)
        for one in news
        for each in wanting
        if each.takes(one.type)
    ]
    return len(await _insert(conn, rows))


async def add_for(conn: Connection, endpoint_id: UUID, news: News) -> UUID | None:
    """Promise one event to one endpoint, whatever it wants; None if it was promised before."""
    row = (new_id(), endpoint_id, news.event_id, news.type, news.call_id, news.body)
    made = await _insert(conn, [row])
    return made[0] if made else None


async def _insert(conn: Connection, rows: Sequence[tuple[object, ...]]) -> list[UUID]:
    if not rows:
        return []
    made = [row["id"] for row in await conn.fetch(ADD, *zip(*rows, strict=True))]
    await jobs.enqueue_all(conn, JOB, [_payload(each, 0) for each in made])
    return made


def _payload(delivery_id: UUID, turn: int) -> dict[str, object]:
    return {"deliveryId": str(delivery_id), "turn": turn}


async def find_due(conn: Connection, delivery_id: UUID, turn: int) -> Due | None:
    """The delivery, if it still waits for this turn."""
    row = await conn.fetchrow(
        """
        select d.id, d.endpoint_id, d.event_id, d.turn, d.tries, d.body,
               case when e.disabled is null and e.deleted_at is null then e.url end,
               array_remove(array[e.secret,
                                  case when e.old_secret_until > now() then e.old_secret end], null)
          from webhook_delivery d join webhook_endpoint e on e.id = d.endpoint_id
         where d.id = $1 and d.turn = $2 and d.status = 'waiting'
        """,
        delivery_id,
        turn,
    )
    return None if row is None else Due(*row)


async def settle(conn: Connection, due: Due, attempt: Attempt, status: Status) -> None:
    """Note the try and what became of the delivery. Needs a transaction.

    A delivery that was resent meanwhile has another turn, and goes on as it is.
    """
    assert status != "waiting"
    await _note(conn, due, attempt)
    await conn.execute(
        """
        update webhook_delivery set status = $3, tries = tries + 1, turn = turn + 1, done_at = now()
         where id = $1 and turn = $2 and status = 'waiting'
        """,
        due.id,
        due.turn,
        status,
    )


async def put_off(conn: Connection, due: Due, attempt: Attempt, pause_s: float) -> None:
    """Note the try, and promise another one in `pause_s`. Needs a transaction."""
    await _note(conn, due, attempt)
    done = await conn.execute(
        """
        update webhook_delivery
           set tries = tries + 1, turn = turn + 1, due_at = now() + make_interval(secs => $3)
         where id = $1 and turn = $2 and status = 'waiting'
        """,
        due.id,
        due.turn,
        pause_s,
    )
    if done == "UPDATE 1":
        await jobs.enqueue(conn, JOB, _payload(due.id, due.turn + 1), delay_s=pause_s)


async def make_wait(conn: Connection, due: Due, pause_s: float) -> None:
    """Come back in `pause_s`: nothing was tried. Needs a transaction."""
    done = await conn.execute(
        """
        update webhook_delivery set turn = turn + 1, due_at = now() + make_interval(secs => $3)
         where id = $1 and turn = $2 and status = 'waiting'
        """,
        due.id,
        due.turn,
        pause_s,
    )
    if done == "UPDATE 1":
        await jobs.enqueue(conn, JOB, _payload(due.id, due.turn + 1), delay_s=pause_s)


async def _note(conn: Connection, due: Due, attempt: Attempt) -> None:
    await conn.execute(
        """
        insert into webhook_attempt (delivery_id, took_ms, status, error, answer)
        values ($1, $2, $3, $4, $5)
        """,
        due.id,
        attempt.took_ms,
        attempt.status,
        attempt.error and attempt.error[:ERROR_CHARS_MAX],
        attempt.answer and attempt.answer[:ANSWER_CHARS_MAX],
    )


# -- what operators see and do


async def list_of(
    conn: Connection,
    *,
    endpoint_id: UUID | None = None,
    status: Status | None = None,
    call_id: UUID | None = None,
    limit: int,
    offset: int,
) -> tuple[list[Delivery], int]:
    """A page of deliveries, the newest first, and how many there are, counted up to 100 000."""
    wanted = {"endpoint_id": endpoint_id, "status": status, "call_id": call_id}
    given = {name: value for name, value in wanted.items() if value is not None}
    # Only what is asked for is spelled, so that each question finds its index.
    conditions = [f"{name} = ${n}" for n, name in enumerate(given, start=3)]
    chosen = f"from webhook_delivery where {' and '.join(['true', *conditions])}"
    rows = await conn.fetch(
        f"select {_COLUMNS} {chosen} order by id desc limit $1 offset $2",
        limit,
        offset,
        *given.values(),
    )
    total: int = await conn.fetchval(
        f"select count(*) from (select {chosen} limit $1 offset $2) found",
        COUNTED_MAX,
        0,
        *given.values(),
    )
    return [Delivery(*row) for row in rows], total


async def read(conn: Connection, delivery_id: UUID) -> tuple[Delivery, str, list[Attempt]] | None:
    """A delivery, its body and its latest 100 attempts in order."""
    row = await conn.fetchrow(
        f"select {_COLUMNS}, body from webhook_delivery where id = $1", delivery_id
    )
    if row is None:
        return None
    tried = await conn.fetch(
        """
        select took_ms, status, error, answer, at from webhook_attempt where delivery_id = $1
        order by id desc limit $2
        """,
        delivery_id,
        ATTEMPTS_SHOWN,
    )
    *known, body = row
    return Delivery(*known), body, [Attempt(*each) for each in reversed(tried)]


async def resend(conn: Connection, delivery_id: UUID) -> jobs.Changed:
    """Deliver it (again) now, with all its tries. Needs a transaction.

    WRONG_STATE when its endpoint is disabled or deleted.
    """
    row = await conn.fetchrow(
        """
        select d.turn, e.disabled is null and e.deleted_at is null as open
          from webhook_delivery d join webhook_endpoint e on e.id = d.endpoint_id
         where d.id = $1 for no key update of d
        """,
        delivery_id,
    )
    if row is None:
        return jobs.Changed.NOT_FOUND
    if not row["open"]:
        return jobs.Changed.WRONG_STATE
    await _start_over(conn, delivery_id, row["turn"] + 1)
    return jobs.Changed.DONE


async def _start_over(conn: Connection, delivery_id: UUID, turn: int) -> None:
    await conn.execute(
        """
        update webhook_delivery
           set status = 'waiting', turn = $2, tries = 0, due_at = now(), done_at = null
         where id = $1
        """,
        delivery_id,
        turn,
    )
    await jobs.enqueue(conn, JOB, _payload(delivery_id, turn))


# -- upkeep


async def revive(conn: Connection, *, late_s: float, limit: int) -> int:
    """Promise again what should have been tried `late_s` ago: its job was given up or cancelled."""
    async with conn.transaction():
        rows = await conn.fetch(
            """
            update webhook_delivery set turn = turn + 1, due_at = now()
             where id in (select id from webhook_delivery
                           where status = 'waiting' and due_at < now() - make_interval(secs => $1)
                           order by due_at limit $2 for update skip locked)
            returning id, turn
            """,
            late_s,
            limit,
        )
        await jobs.enqueue_all(conn, JOB, [_payload(*row) for row in rows])
    return len(rows)


async def sweep(conn: Connection, *, days: int, limit: int) -> int:
    """Forget deliveries of so many days ago, and deleted endpoints without any; how many rows."""
    done = await conn.execute(
        """
        delete from webhook_delivery where id in (
            select id from webhook_delivery where created_at < now() - make_interval(days => $1)
            order by created_at limit $2)
        """,
        days,
        limit,
    )
    await conn.execute(
        """
        delete from webhook_endpoint e where deleted_at is not null
           and not exists (select from webhook_delivery d where d.endpoint_id = e.id)
        """
    )
    return int(done.split()[-1])
