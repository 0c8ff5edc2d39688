"""Own profile, public profiles, and the block list."""

from __future__ import annotations

import msgspec
from aiohttp import web

from rest.account import bodies, rules
from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.identity import caller, main_role
from rest.http.pages import PageQuery, first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.http.toggles import Toggles
from storage import settings, users
from storage.pool import Pool, within

DB_S = 4.0

NO_USER = Fault(404, "USER_NOT_FOUND", "There is no such account.")
NO_FIELDS = Fault(400, "NO_FIELDS", "Send at least one field.")
SELF_BLOCK = Fault(400, "INVALID_USER_ID", "Nobody can block themselves.")


class AccountRoutes:
    def __init__(self, pool: Pool, *, currency: str = "PTS") -> None:
        """`currency` is the one balances are shown in."""
        self._pool = pool
        self._currency = currency

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/user/me",
                self.me,
                summary="The caller's full profile",
                returns=bodies.FullProfileAnswer,
                tag="user",
                aliases=("/users/me",),
                errors=(NO_USER,),
            ),
            Route(
                "PUT",
                "/user/profile",
                self.change,
                summary="Change name or bio",
                returns=bodies.PublicProfileAnswer,
                body=bodies.ProfileChange,
                tag="user",
                errors=(NO_FIELDS, NO_USER),
            ),
            Route(
                "GET",
                "/users/{id}",
                self.public,
                summary="What anybody may see of an account",
                returns=bodies.PublicProfileAnswer,
                tag="user",
                auth=False,
                errors=(NO_USER,),
            ),
            Route(
                "GET",
                "/user/block-list",
                self.block_list,
                summary="Whom the caller blocks, latest first",
                returns=bodies.BlockList,
                query=PageQuery,
                tag="user",
            ),
            Route(
                "POST",
                "/user/block/{id}",
                self.block,
                summary="Block an account: it can no longer call",
                returns=bodies.BlockState,
                tag="user",
                errors=(NO_USER, SELF_BLOCK),
            ),
            Route(
                "DELETE",
                "/user/block/{id}",
                self.unblock,
                summary="Take a block back",
                returns=bodies.BlockState,
                tag="user",
            ),
        ]

    async def me(self, request: web.Request) -> web.Response:
        async with self._pool.acquire(timeout=DB_S) as conn:
            user_id = caller(request).user_id
            user = await within(DB_S, users.read_user(conn, user_id, self._currency))
            toggles = await within(DB_S, settings.read_toggles(conn, user_id))
        if user is None:
            raise NO_USER.problem()
        return reply(bodies.FullProfileAnswer(user=_full(user, toggles)))

    async def change(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.ProfileChange)
        if body.name is None and body.bio is None:
            raise NO_FIELDS.problem()
        name = None if body.name is None else rules.clean_name(body.name)
        bio = None if body.bio is None else rules.clean_bio(body.bio)
        async with self._pool.acquire(timeout=DB_S) as conn:
            user = await within(
                DB_S, users.update_profile(conn, caller(request).user_id, name=name, bio=bio)
            )
        return reply(_public(user))

    async def public(self, request: web.Request) -> web.Response:
        async with self._pool.acquire(timeout=DB_S) as conn:
            user = await within(DB_S, users.read_public(conn, path_id(request)))
        if user is None:
            raise NO_USER.problem()
        return reply(_public(user))

    async def block_list(self, request: web.Request) -> web.Response:
        query = read_query(request, PageQuery)
        offset = first_row(query)
        async with self._pool.acquire(timeout=DB_S) as conn:
            blocked, total = await within(
                DB_S,
                users.list_blocked(conn, caller(request).user_id, limit=query.limit, offset=offset),
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
            await within(DB_S, users.block(conn, me, other))
        return reply(bodies.BlockState(user_id=other, blocked=True))

    async def unblock(self, request: web.Request) -> web.Response:
        other = path_id(request)
        async with self._pool.acquire(timeout=DB_S) as conn:
            await within(DB_S, users.unblock(conn, caller(request).user_id, other))
        return reply(bodies.BlockState(user_id=other, blocked=False))


def _full(user: users.User, toggles: settings.Toggles) -> bodies.FullProfile:
    return bodies.FullProfile(
        id=user.id,
        name=user.name,
        email=user.email,
        phone=user.phone,
        avatar=user.avatar_url,
        avatar_url=user.avatar_url,
        bio=user.bio,
        gender=user.gender,
        birthday=user.birthday,
        balance=user.balance_minor,
        roles=user.roles,
        role=main_role(user.roles),
        notifications=msgspec.convert(toggles, Toggles, from_attributes=True),
        created_at=user.created_at,
    )


def _public(user: users.PublicUser) -> bodies.PublicProfileAnswer:
    return bodies.PublicProfileAnswer(
        user=bodies.PublicProfile(
            id=user.id,
            name=user.name,
            avatar_url=user.avatar_url,
            bio=user.bio,
            is_provider=user.is_provider,
        )
    )
