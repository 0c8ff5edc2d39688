"""Whom the caller blocks."""

from __future__ import annotations

from aiohttp import web

from rest.account import bodies
from rest.http.body import read_query
from rest.http.errors import Fault
from rest.http.identity import NO_USER, caller
from rest.http.pages import PageQuery, first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from storage import blocks
from storage.pool import Pool, within

DB_S = 4.0

SELF_BLOCK = Fault(400, "INVALID_USER_ID", "Nobody can block themselves.")
LIST_FULL = Fault(409, "BLOCK_LIST_FULL", f"At most {blocks.BLOCKS_MAX} accounts can be blocked.")


class BlockRoutes:
    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/user/block-list",
                self.block_list,
                summary="Whom the caller blocks, latest first",
                returns=bodies.BlockList,
                query=PageQuery,
                tag="user",
                example=bodies.BLOCK_LIST_EXAMPLE,
            ),
            Route(
                "POST",
                "/user/block/{id}",
                self.block,
                summary="Block an account: no calls and no chat between the two any more",
                returns=bodies.BlockState,
                tag="user",
                errors=(NO_USER, SELF_BLOCK, LIST_FULL),
                example=bodies.BlockState(user_id=bodies.SOMEBODY, blocked=True),
            ),
            Route(
                "DELETE",
                "/user/block/{id}",
                self.unblock,
                summary="Take a block back",
                returns=bodies.BlockState,
                tag="user",
                example=bodies.BlockState(user_id=bodies.SOMEBODY, blocked=False),
            ),
        ]

    async def block_list(self, request: web.Request) -> web.Response:
        query = read_query(request, PageQuery)
        offset = first_row(query)
        async with self._pool.acquire(timeout=DB_S) as conn:
            blocked, total = await within(
                DB_S,
                blocks.list_blocked(
                    conn, caller(request).user_id, limit=query.limit, offset=offset
                ),
            )
        items = [
            bodies.BlockedUser(
                user_id=each.user_id,
                name=each.name,
                avatar_url=each.avatar_url,
                blocked_at=each.blocked_at,
            )
            for each in blocked
        ]
        return reply(bodies.BlockList(total=total, limit=query.limit, offset=offset, items=items))

    async def block(self, request: web.Request) -> web.Response:
        me, other = caller(request).user_id, path_id(request)
        if me == other:
            raise SELF_BLOCK.problem(field="id")
        async with self._pool.acquire(timeout=DB_S) as conn:
            await within(DB_S, blocks.block(conn, me, other))
        return reply(bodies.BlockState(user_id=other, blocked=True))

    async def unblock(self, request: web.Request) -> web.Response:
        other = path_id(request)
        async with self._pool.acquire(timeout=DB_S) as conn:
            await within(DB_S, blocks.unblock(conn, caller(request).user_id, other))
        return reply(bodies.BlockState(user_id=other, blocked=False))
