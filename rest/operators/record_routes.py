"""What operators did, and which nodes there are."""

from __future__ import annotations

import msgspec
from aiohttp import web

from rest.http.body import read_query
from rest.http.pages import PageQuery, first_row
from rest.http.reply import reply
from rest.http.route import Route
from rest.operators.record_bodies import (
    AUDIT_EXAMPLE,
    NODES_EXAMPLE,
    AuditLine,
    AuditLines,
    AuditQuery,
    NodeList,
    NodeView,
)
from storage import audit, fleet
from storage.deadline import Deadline
from storage.pool import Pool

DEADLINE = Deadline(4.0)
ADMIN = ("admin",)
TAG = "operators"


class RecordRoutes:
    def __init__(self, pool: Pool, *, lease_ms: int) -> None:
        """A node that has not told of itself for `lease_ms` is not alive."""
        self._pool = pool
        self._lease_ms = lease_ms

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/operators/audit",
                self.audit,
                summary="What operators did, to whom and why, newest first",
                returns=AuditLines,
                query=AuditQuery,
                tag=TAG,
                roles=ADMIN,
                example=AUDIT_EXAMPLE,
            ),
            Route(
                "GET",
                "/operators/nodes",
                self.nodes,
                summary="The lives of server processes, the youngest first",
                returns=NodeList,
                query=PageQuery,
                tag=TAG,
                roles=ADMIN,
                example=NODES_EXAMPLE,
            ),
        ]

    async def audit(self, request: web.Request) -> web.Response:
        query = read_query(request, AuditQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await audit.search(
                conn,
                actor=query.actor,
                action=query.action,
                target_id=query.target_id,
                limit=query.limit,
                offset=offset,
            )
        items = [AuditLine(**msgspec.structs.asdict(each)) for each in found]
        return reply(AuditLines(items=items, total=total, limit=query.limit, offset=offset))

    async def nodes(self, request: web.Request) -> web.Response:
        query = read_query(request, PageQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await fleet.list_of(
                conn, lease_ms=self._lease_ms, limit=query.limit, offset=offset
            )
        items = [NodeView(**msgspec.structs.asdict(each)) for each in found]
        return reply(NodeList(items=items, total=total, limit=query.limit, offset=offset))
