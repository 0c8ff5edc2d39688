"""What providers do with their own profile: make it, change it, say when they are there."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import msgspec
from aiohttp import web

from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.identity import NO_USER, caller
from rest.http.reply import reply
from rest.http.route import Route
from rest.providers import bodies, examples, rules
from rest.providers.rules import NO_PROVIDER
from rest.providers.shown import Shown, hours_views
from storage import hours, providers, users
from storage.pool import Pool, within

DB_S = 4.0

OTHERS_STATUS = Fault(403, "FORBIDDEN", "This is another's status.")


class OwnProfileRoutes:
    """`presence_changed` is told, after the commit, of each whose status was set."""

    def __init__(
        self,
        pool: Pool,
        shown: Shown,
        *,
        share_bps: int,
        presence_changed: Callable[[UUID], None] = lambda _: None,
    ) -> None:
        """`share_bps` is the share of those without one of their own."""
        self._pool = pool
        self._shown = shown
        self._share_bps = share_bps
        self._presence_changed = presence_changed

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/otomo/me",
                self.me,
                summary="The caller's provider profile",
                returns=bodies.OwnAnswer,
                tag="providers",
                aliases=("/providers/me",),
                errors=(NO_PROVIDER,),
                example=bodies.OwnAnswer(otomo=examples.OWN),
            ),
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
                example=bodies.DetailAnswer(otomo=examples.DETAIL),
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
                example=bodies.DetailAnswer(otomo=examples.DETAIL),
            ),
            Route(
                "GET",
                "/otomo/schedule",
                self.schedule,
                summary="The caller's week as a provider",
                returns=bodies.Schedule,
                tag="providers",
                aliases=("/providers/schedule",),
                errors=(NO_PROVIDER,),
                example=bodies.Schedule(items=[examples.HOURS]),
            ),
            Route(
                "PUT",
                "/otomo/schedule",
                self.set_schedule,
                summary="Replace the caller's week as a provider",
                returns=bodies.Schedule,
                body=bodies.ScheduleChange,
                tag="providers",
                aliases=("/providers/schedule",),
                errors=(rules.INVALID_SCHEDULE, NO_PROVIDER),
                example=bodies.Schedule(items=[examples.HOURS]),
            ),
            Route(
                "GET",
                "/otomo/stats/summary",
                self.stats,
                summary="What the caller's calls as a provider came to lately",
                returns=bodies.Stats,
                query=bodies.StatsQuery,
                tag="providers",
                aliases=("/providers/stats/summary",),
                errors=(NO_PROVIDER,),
                example=examples.STATS,
            ),
        ]

    async def me(self, request: web.Request) -> web.Response:
        return reply(bodies.OwnAnswer(otomo=await within(DB_S, self._me(caller(request).user_id))))

    async def _me(self, user_id: UUID) -> bodies.Own:
        async with self._pool.acquire(timeout=DB_S) as conn:
            found = await providers.read_own(conn, user_id)
            if found is None:
                raise NO_PROVIDER.problem()
            detail = await self._shown.detail(conn, found)
        share_bps = self._share_bps if found.share_bps is None else found.share_bps
        return bodies.Own(**msgspec.structs.asdict(detail), share_bps=share_bps)

    async def save(self, request: web.Request) -> web.Response:
        change = await read_body(request, bodies.ProviderChange)
        saved = await within(DB_S, self._save(caller(request).user_id, change))
        return reply(bodies.DetailAnswer(otomo=saved))

    async def _save(self, user_id: UUID, change: bodies.ProviderChange) -> bodies.Detail:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            user = await users.read_public(conn, user_id)
            if user is None:
                raise NO_USER.problem()
            before = await providers.read_terms_for_update(conn, user_id)
            await providers.save_provider(conn, user_id, rules.merged(change, before, user.name))
            if before is None:
                # Both kinds have a profile; whoever is one of them chose it.
                await users.add_role(conn, user_id, "companion", unless=("technician",))
            saved = await providers.read_provider(conn, user_id)
            if saved is None:
                raise NO_USER.problem()
            return await self._shown.detail(conn, saved)

    async def set_status(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.StatusChange)
        availability = rules.availability_of(body)
        me = caller(request)
        target = body.otomo_id or me.user_id
        if target != me.user_id and "admin" not in me.roles:
            raise OTHERS_STATUS.problem()
        message = None if body.status_message is None else body.status_message.strip()
        detail = await within(DB_S, self._set_status(target, availability, message))
        return reply(bodies.DetailAnswer(otomo=detail))

    async def _set_status(
        self, user_id: UUID, availability: str, message: str | None
    ) -> bodies.Detail:
        async with self._pool.acquire(timeout=DB_S) as conn:
            saved = await providers.set_availability(conn, user_id, availability, message)
            self._presence_changed(user_id)
            return await self._shown.detail(conn, saved)

    async def schedule(self, request: web.Request) -> web.Response:
        week = await within(DB_S, self._week(caller(request).user_id))
        return reply(bodies.Schedule(items=hours_views(week)))

    async def _week(self, user_id: UUID) -> list[hours.Hours]:
        async with self._pool.acquire(timeout=DB_S) as conn:
            if await providers.read_provider(conn, user_id) is None:
                raise NO_PROVIDER.problem()
            return await hours.read_hours(conn, user_id)

    async def set_schedule(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.ScheduleChange)
        week = rules.week_of(body.items)
        await within(DB_S, self._set_week(caller(request).user_id, week))
        return reply(bodies.Schedule(items=hours_views(week)))

    async def _set_week(self, user_id: UUID, week: list[hours.Hours]) -> None:
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            await hours.replace_hours(conn, user_id, week)

    async def stats(self, request: web.Request) -> web.Response:
        query = read_query(request, bodies.StatsQuery)
        since = self._shown.now() - timedelta(days=query.days)
        async with self._pool.acquire(timeout=DB_S) as conn:
            found = await within(DB_S, providers.read_stats(conn, caller(request).user_id, since))
        if found is None:
            raise NO_PROVIDER.problem()
        return reply(
            bodies.Stats(
                days=query.days,
                calls=found.calls,
                minutes=found.talk_ms // 60_000,
                earnings=found.earned_minor,
                currency=self._shown.currency,
                unique_callers=found.callers,
                rating=rules.average(found.score_sum, found.score_count),
                review_count=found.score_count,
            )
        )
