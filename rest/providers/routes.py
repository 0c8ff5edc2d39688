"""What everybody sees of providers: the directory, and a provider's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from uuid import UUID

from aiohttp import web

from rest.http.body import read_query
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.providers import bodies, examples, rules
from rest.providers.shown import Shown
from storage import directory, providers
from storage.pool import Pool, within

DB_S = 4.0


class ProviderRoutes:
    """`present` gives those who are there: their presence, anything but offline."""

    def __init__(
        self, pool: Pool, shown: Shown, *, present: Callable[[], Mapping[UUID, str]] = dict
    ) -> None:
        self._pool = pool
        self._shown = shown
        self._present = present

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/otomo/list",
                self.directory,
                summary="Providers; those who are online first, the best rated at the top",
                returns=bodies.Directory,
                query=bodies.DirectoryQuery,
                tag="providers",
                aliases=("/providers/list",),
                errors=(rules.INVALID_FILTER,),
                example=bodies.Directory(items=[examples.CARD], total=1, limit=20, offset=0),
            ),
            Route(
                "GET",
                "/otomo/{id}",
                self.detail,
                summary="One provider, with the newest reviews and the week",
                returns=bodies.DetailAnswer,
                tag="providers",
                aliases=("/providers/{id}",),
                errors=(rules.NO_PROVIDER,),
                example=bodies.DetailAnswer(otomo=examples.DETAIL),
            ),
        ]

    async def directory(self, request: web.Request) -> web.Response:
        query = read_query(request, bodies.DirectoryQuery)
        return reply(await within(DB_S, self._page(query, first_row(query))))

    async def _page(self, query: bodies.DirectoryQuery, offset: int) -> bodies.Directory:
        wanted = rules.filter_of(query, self._shown.today())
        presence = rules.presence_wanted(query, self._present())
        ids: list[UUID] = []
        async with self._pool.acquire(timeout=DB_S) as conn:
            total = await directory.count(conn, wanted, presence)
            if offset < total:  # Or nothing would be found, after a search from end to end.
                ids = await directory.list_page(
                    conn, wanted, presence, sort=query.sort, limit=query.limit, offset=offset
                )
            found = await providers.read_providers(conn, ids)
        items = [self._shown.card(each) for each in found]
        return bodies.Directory(total=total, limit=query.limit, offset=offset, items=items)

    async def detail(self, request: web.Request) -> web.Response:
        detail = await within(DB_S, self._detail(path_id(request)))
        return reply(bodies.DetailAnswer(otomo=detail))

    async def _detail(self, user_id: UUID) -> bodies.Detail:
        async with self._pool.acquire(timeout=DB_S) as conn:
            found = await providers.read_provider(conn, user_id)
            if found is None:
                raise rules.NO_PROVIDER.problem()
            return await self._shown.detail(conn, found)
