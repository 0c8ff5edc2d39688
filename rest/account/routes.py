"""Own profile, public profiles, and the end of an account."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
from aiohttp import web

from rest.account import bodies, rules
from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.identity import (
    FRESH_LOGIN_REQUIRED,
    NO_USER,
    CheckFresh,
    Identity,
    caller,
    main_role,
)
from rest.http.reply import Done, reply
from rest.http.route import Route, path_id
from rest.http.toggles import Toggles
from storage import deletion, users
from storage.pool import Pool, within

DB_S = 4.0

NO_FIELDS = Fault(400, "NO_FIELDS", "Send at least one field.")
BUSY = Fault(409, "ACCOUNT_BUSY", "A call of this account is not over yet.")
NOT_EMPTY = Fault(409, "WALLET_NOT_EMPTY", "There is money in the wallet.")
NOT_PAID = Fault(409, "EARNINGS_NOT_PAID", "Have your earnings paid out first.")


class AccountRoutes:
    def __init__(
        self,
        pool: Pool,
        *,
        currency: str,
        clock: Callable[[], int],
        leave_call: Callable[[UUID], Awaitable[None]],
        end_session: Callable[[UUID], None],
        check_fresh: CheckFresh,
    ) -> None:
        """`currency` is the one balances are shown in, `clock` gives Unix ms. `leave_call` ends a
        user's live call, `end_session` makes a session's tokens and sockets worthless. Only who
        passes `check_fresh` may delete the account."""
        self._pool = pool
        self._currency = currency
        self._clock = clock
        self._leave_call = leave_call
        self._end_session = end_session
        self._check_fresh = check_fresh

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
                example=bodies.FULL_PROFILE_EXAMPLE,
            ),
            Route(
                "PUT",
                "/user/profile",
                self.change,
                summary="Change name, bio, gender or birthday",
                returns=bodies.FullProfileAnswer,
                body=bodies.ProfileChange,
                tag="user",
                errors=(NO_FIELDS, NO_USER),
                example=bodies.FULL_PROFILE_EXAMPLE,
            ),
            Route(
                "DELETE",
                "/user/delete",
                self.delete,
                summary="Delete the account for good, and log out everywhere",
                returns=Done,
                query=bodies.Deletion,
                tag="user",
                errors=(FRESH_LOGIN_REQUIRED, BUSY, NOT_EMPTY, NOT_PAID),
                example=Done(),
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
                example=bodies.PUBLIC_PROFILE_EXAMPLE,
            ),
        ]

    async def me(self, request: web.Request) -> web.Response:
        user = await within(DB_S, self._read(caller(request).user_id))
        if user is None:
            raise NO_USER.problem()
        return reply(bodies.FullProfileAnswer(user=_full(user)))

    async def _read(self, user_id: UUID) -> users.User | None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            return await users.read_user(conn, user_id, self._currency)

    async def change(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.ProfileChange)
        change = rules.clean_profile(body, self._today())
        if change == rules.NO_CHANGE:
            raise NO_FIELDS.problem()
        user = await within(DB_S, self._change(caller(request).user_id, change))
        if user is None:
            raise NO_USER.problem()
        return reply(bodies.FullProfileAnswer(user=_full(user)))

    async def _change(self, user_id: UUID, change: rules.Change) -> users.User | None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            await users.update_profile(
                conn,
                user_id,
                name=change.name,
                bio=change.bio,
                gender=change.gender,
                birthday=change.birthday,
            )
            return await users.read_user(conn, user_id, self._currency)

    async def delete(self, request: web.Request) -> web.Response:
        forfeit = read_query(request, bodies.Deletion).forfeit
        me = caller(request)
        await within(DB_S, self._check(me))
        # A call holds money and earns some for the other side: its books are closed first.
        await self._leave_call(me.user_id)
        ended = await within(DB_S, self._delete(me.user_id, forfeit))
        for session_id in {me.session_id, *ended}:
            self._end_session(session_id)
        # One that was asked for while we deleted.
        await self._leave_call(me.user_id)
        return reply(Done())

    async def _check(self, me: Identity) -> None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            await self._check_fresh(conn, me)

    async def _delete(self, user_id: UUID, forfeit: bool) -> list[UUID]:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            return await deletion.delete_account(
                conn, user_id, forfeit=forfeit, now_ms=self._clock()
            )

    async def public(self, request: web.Request) -> web.Response:
        async with self._pool.acquire(timeout=DB_S) as conn:
            user = await within(DB_S, users.read_public(conn, path_id(request)))
        if user is None:
            raise NO_USER.problem()
        return reply(_public(user))

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock() / 1000, UTC).date()


def _full(user: users.User) -> bodies.FullProfile:
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
        notifications=msgspec.convert(user.notifications, Toggles, from_attributes=True),
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
