"""The directory, a companion's page, and a companion's own profile and status."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from uuid import UUID

import msgspec
from aiohttp import web

from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.identity import caller
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.providers import bodies, rules
from storage import providers, users
from storage.pool import Pool, within

DB_S = 4.0

NO_PROVIDER = Fault(404, "OTOMO_NOT_FOUND", "There is no such provider.")
NO_USER = Fault(404, "USER_NOT_FOUND", "There is no such account.")
AGES = Fault(400, "INVALID_FILTER", "minAge is above maxAge.")
OTHERS_STATUS = Fault(403, "FORBIDDEN", "This is another's status.")

# What a user's presence is now, from what the provider said of themselves: a call makes them
# busy, and without a connected device they are offline.
PresenceOf = Callable[[UUID, str], str]


class ProviderRoutes:
    """`presence_changed` is told, after the commit, of each who set their own status."""

    def __init__(
        self,
        pool: Pool,
        *,
        clock: Callable[[], int],
        presence_of: PresenceOf = lambda _, stored: stored,
        presence_changed: Callable[[UUID], None] = lambda _: None,
        currency: str = "PTS",
    ) -> None:
        """`clock` gives Unix ms; `currency` is the one prices are in."""
        self._pool = pool
        self._clock = clock
        self._presence_of = presence_of
        self._presence_changed = presence_changed
        self._currency = currency

    def table(self) -> list[Route]:
        return [
            Route(
                "PUT",
                "/otomo/profile",
                self.save,
                summary="Make or change the caller's provider profile",
                returns=bodies.DetailAnswer,
                body=bodies.ProviderChange,
                tag="providers",
                aliases=("/providers/profile",),
                errors=(rules.PRICE_MISSING, NO_USER),
            ),
            Route(
                "PUT",
                "/otomo/status",
                self.set_status,
                summary="Say whether one takes calls",
                returns=bodies.DetailAnswer,
                body=bodies.StatusChange,
                tag="providers",
                aliases=("/providers/status",),
                errors=(NO_PROVIDER, OTHERS_STATUS),
            ),
            Route(
                "GET",
                "/otomo/list",
                self.directory,
                summary="Providers, best rated first",
                returns=bodies.Directory,
                query=bodies.DirectoryQuery,
                tag="providers",
                aliases=("/providers/list",),
                errors=(AGES,),
            ),
            Route(
                "GET",
                "/otomo/{id}",
                self.detail,
                summary="One provider",
                returns=bodies.DetailAnswer,
                tag="providers",
                aliases=("/providers/{id}",),
                errors=(NO_PROVIDER,),
            ),
        ]

    async def save(self, request: web.Request) -> web.Response:
        change = await read_body(request, bodies.ProviderChange)
        saved = await within(DB_S, self._save(caller(request).user_id, change))
        return reply(bodies.DetailAnswer(otomo=self._detail(saved)))

    async def _save(self, user_id: UUID, change: bodies.ProviderChange) -> providers.Provider:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            user = await users.read_public(conn, user_id)
            if user is None:
                raise NO_USER.problem()
            before = await providers.read_terms_for_update(conn, user_id)
            await providers.save_provider(conn, user_id, rules.merged(change, before, user.name))
            if before is None:
                await users.add_role(conn, user_id, "companion")
            saved = await providers.read_provider(conn, user_id)
        if saved is None:
            raise NO_USER.problem()
        return saved

    async def set_status(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.StatusChange)
        me = caller(request)
        target = body.otomo_id or me.user_id
        if target != me.user_id and "admin" not in me.roles:
            raise OTHERS_STATUS.problem()
        message = None if body.status_message is None else body.status_message.strip()
        availability = rules.availability_of(body.is_online, body.is_available)
        async with self._pool.acquire(timeout=DB_S) as conn:
            saved = await within(
                DB_S, providers.set_availability(conn, target, availability, message)
            )
        self._presence_changed(target)
        return reply(bodies.DetailAnswer(otomo=self._detail(saved)))

    async def directory(self, request: web.Request) -> web.Response:
        query = read_query(request, bodies.DirectoryQuery)
        offset = first_row(query)
        if None not in (query.min_age, query.max_age) and (query.min_age or 0) > (
            query.max_age or 0
        ):
            raise AGES.problem(field="minAge")
        wanted = providers.Filter(
            today=self._today(), genre=query.genre, age_min=query.min_age, age_max=query.max_age
        )
        async with self._pool.acquire(timeout=DB_S) as conn:
            listed = await within(DB_S, providers.list_providers(conn, wanted))
            if query.is_online is not None:
                listed = [each for each in listed if self._is_online(each) is query.is_online]
            page = [each.user_id for each in listed[offset : offset + query.limit]]
            found = await within(DB_S, providers.read_providers(conn, page))
        cards = [self._card(each) for each in found]
        return reply(
            bodies.Directory(total=len(listed), limit=query.limit, offset=offset, items=cards)
        )

    async def detail(self, request: web.Request) -> web.Response:
        async with self._pool.acquire(timeout=DB_S) as conn:
            found = await within(DB_S, providers.read_provider(conn, path_id(request)))
        if found is None:
            raise NO_PROVIDER.problem()
        return reply(bodies.DetailAnswer(otomo=self._detail(found)))

    def _is_online(self, listed: providers.Listed) -> bool:
        return self._presence_of(listed.user_id, listed.availability) != "offline"

    def _today(self) -> date:
        return datetime.fromtimestamp(self._clock() / 1000, UTC).date()

    def _card(self, provider: providers.Provider) -> bodies.Card:
        presence = self._presence_of(provider.user_id, provider.availability)
        count = provider.rating_count
        return bodies.Card(
            otomo_id=provider.user_id,
            display_name=provider.display_name,
            profile_image_url=provider.avatar_url,
            age=rules.age_on(self._today(), provider.birthday),
            gender=provider.gender,
            genres=provider.genres,
            presence=presence,
            is_online=presence != "offline",
            is_available=presence == "online",
            tariff=provider.tariff,
            currency=self._currency,
            price_per_minute=provider.price_audio_minor,
            price_audio=provider.price_audio_minor,
            price_video=provider.price_video_minor,
            rating=round(provider.rating_sum / count, 2) if count else 0.0,
            review_count=count,
        )

    def _detail(self, provider: providers.Provider) -> bodies.Detail:
        card = msgspec.structs.asdict(self._card(provider))
        return bodies.Detail(
            **card,
            introduction=provider.introduction,
            tags=provider.tags,
            status_message=provider.status_message,
            status_updated_at=provider.status_updated_at,
            reviews=[],
            schedule=[],
        )
