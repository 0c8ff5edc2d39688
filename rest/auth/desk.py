"""Where sessions are opened and ended, however their owner has proved who they are."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID

import msgspec
from aiohttp import hdrs, web
from msgspec import UNSET, UnsetType

from rest.auth import bodies
from rest.auth.sessions import Sessions
from rest.auth.tokens import TokenKeys, new_refresh, refresh_hash
from rest.http.errors import Fault
from rest.http.identity import FRESH_LOGIN_REQUIRED, NO_USER, Identity, main_role
from signalling.limits import Rate
from storage import credentials, users
from storage.ids import new_id
from storage.pool import Connection

DAY_S = 86_400
DEVICE_CHARS_MAX = 100

SUSPENDED = Fault(403, "ACCOUNT_SUSPENDED", "This account is suspended.")
DELETED = Fault(410, "ACCOUNT_DELETED", "This account was deleted.")
FRESH_MS = 600_000


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Lifetimes and limits. A rate is a burst, then one try every so often."""

    currency: str = "PTS"
    # Whose national phone numbers are understood.
    region: str | None = None
    refresh_idle_s: int = 30 * DAY_S
    refresh_lifetime_s: int = 90 * DAY_S
    replay_grace_ms: int = 10_000
    # A log-in then revokes the account's other sessions.
    single_session: bool = False
    # Of an account from one address, and from all: nobody's wrong tries keep its owner out.
    login_account: Rate = Rate(5, 12_000)
    login_account_anywhere: Rate = Rate(50, 12_000)
    login_address: Rate = Rate(20, 3_000)
    signup_address: Rate = Rate(5, 10_000)


# What a provider's presence is now, from what they said of themselves.
PresenceOf = Callable[[UUID, str], str]


class LoggedIn(NamedTuple):
    """`ended` are the sessions it took the place of: end them after the commit."""

    session: bodies.Session
    ended: list[UUID]


class SessionDesk:
    """`session_ended` is told of every session that ends before its time, to close its sockets."""

    def __init__(
        self,
        keys: TokenKeys,
        sessions: Sessions,
        *,
        clock: Callable[[], int],
        settings: AuthSettings | None = None,
        session_ended: Callable[[UUID], None] = lambda _: None,
        presence_of: PresenceOf = lambda _, stored: stored,
        wall_s: Callable[[], float] = time.time,
    ) -> None:
        """`clock` gives Unix ms and never goes back; `wall_s` is what PyJWT compares with."""
        self.settings = settings or AuthSettings()
        self._keys = keys
        self._sessions = sessions
        self._clock = clock
        self._session_ended = session_ended
        self._presence_of = presence_of
        self._wall_s = wall_s

    async def log_in(
        self, conn: Connection, user_id: UUID, status: str, device: str | None
    ) -> LoggedIn:
        """Open a session for an account that is there, in the caller's transaction.

        Raises:
            Problem: 403 ACCOUNT_SUSPENDED, 410 ACCOUNT_DELETED.
        """
        if status != "active":
            raise (SUSPENDED if status == "suspended" else DELETED).problem()
        ended: list[UUID] = []
        if self.settings.single_session:
            # Of two log-ins at once, the second has to see the session of the first.
            await users.lock(conn, user_id)
            ended = await credentials.revoke_sessions_of(
                conn, user_id, why="logged_in_elsewhere", now_ms=self._clock()
            )
        return LoggedIn(await self.open(conn, user_id, device), ended)

    async def open(self, conn: Connection, user_id: UUID, device: str | None) -> bodies.Session:
        """The session and its tokens. `device` is what its owner will know it by."""
        session_id, refresh = new_id(), new_refresh()
        await credentials.open_session(
            conn,
            session_id=session_id,
            user_id=user_id,
            refresh_hash=refresh_hash(refresh),
            now_ms=self._clock(),
            idle_ms=self.settings.refresh_idle_s * 1000,
            lifetime_ms=self.settings.refresh_lifetime_s * 1000,
            device=device,
        )
        user = await users.read_user(conn, user_id, self.settings.currency)
        if user is None:
            raise NO_USER.problem()
        tokens = self.tokens(user_id, session_id, user.roles, refresh)
        return bodies.Session(**msgspec.structs.asdict(tokens), user=self.shown(user))

    def shown(self, user: users.User) -> bodies.SessionUser:
        """The account as its owner sees it, a provider's with their presence at this moment."""
        status: str | UnsetType = UNSET
        if user.availability is not None:
            status = self._presence_of(user.id, user.availability)
        return bodies.SessionUser(
            id=user.id,
            name=user.name,
            email=user.email,
            phone=user.phone,
            avatar=user.avatar_url,
            avatar_url=user.avatar_url,
            intro=user.bio,
            balance=user.balance_minor,
            roles=user.roles,
            role=main_role(user.roles),
            created_at=user.created_at,
            status=status,
        )

    def tokens(
        self, user_id: UUID, session_id: UUID, roles: list[str], refresh: str
    ) -> bodies.Tokens:
        access = self._keys.issue(user_id, session_id, roles, int(self._wall_s()))
        return bodies.Tokens(
            token=access,
            access_token=access,
            refresh_token=refresh,
            expires_in=self._keys.ttl_s,
            expires_in_snake=self._keys.ttl_s,
        )

    async def check_fresh(self, conn: Connection, me: Identity) -> None:
        """
        Raises:
            Problem: 403 FRESH_LOGIN_REQUIRED, the caller has logged in too long ago.
        """
        age_ms = await credentials.session_age_ms(conn, me.session_id, me.user_id, self._clock())
        if age_ms is None or age_ms > FRESH_MS:
            raise FRESH_LOGIN_REQUIRED.problem()

    def is_live(self, session_id: UUID) -> bool:
        return self._sessions.is_live(session_id)

    def end(self, *session_ids: UUID) -> None:
        """They have been revoked in the database: refuse their tokens, close their sockets."""
        for session_id in session_ids:
            self._sessions.revoke(session_id)
            self._session_ended(session_id)


def device_of(request: web.Request) -> str | None:
    """What the owner of a session will know it by: the User-Agent, as far as it can be shown."""
    agent = request.headers.get(hdrs.USER_AGENT, "")
    shown = "".join(sign for sign in agent if sign.isprintable())
    return shown[:DEVICE_CHARS_MAX].strip() or None
