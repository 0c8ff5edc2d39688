"""Everybody's payments, for operators: filtered, the newest first."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from storage.found import FOUND_MAX, where
from storage.payments import Status
from storage.pool import Connection


class FoundPayment(msgspec.Struct, frozen=True):
    """See `storage.payments.Payment`."""

    id: UUID
    user_id: UUID
    user_name: str
    purpose: str
    target_id: UUID | None
    wallet: str | None
    gateway: str
    amount_minor: int
    currency: str
    status: Status
    reference: str
    gateway_ref: str | None
    description: str | None
    created_at: datetime
    completed_at: datetime | None


async def search(
    conn: Connection,
    *,
    user_id: UUID | None = None,
    status: Status | None = None,
    gateway: str | None = None,
    limit: int,
    offset: int,
) -> tuple[list[FoundPayment], int]:
    """The payments that have all of what is not None, and how many, `FOUND_MAX` at most."""
    asked, values = where(3, user_id=user_id, status=status, gateway=gateway)
    rows = await conn.fetch(
        f"""
        with found as materialized (
            select id, created_at from payment {asked}
             order by created_at desc, id desc limit {FOUND_MAX}
        ),
        page as (select id from found order by created_at desc, id desc limit $1 offset $2)
        select (select count(*) from found) as total, p.id, p.user_id, u.name as user_name,
               p.purpose, p.target_id, p.wallet, p.gateway, p.amount_minor, p.currency, p.status,
               p.reference, p.gateway_ref, p.description, p.created_at, p.completed_at
          from (select) one
          left join (page join payment p using (id) join users u on u.id = p.user_id) on true
         order by p.created_at desc, p.id desc
        """,
        limit,
        offset,
        *values,
    )
    found = [
        FoundPayment(**{name: row[name] for name in FoundPayment.__struct_fields__})
        for row in rows
        if row["id"] is not None
    ]
    return found, rows[0]["total"]
