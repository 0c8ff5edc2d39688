"""GraphQL's way into the server: its route, and what its fields are answered from."""

from __future__ import annotations

import asyncio
from functools import cache, partial
from typing import TYPE_CHECKING

from aiohttp import web

from rest.graphql import PATH
from rest.http.route import Guard
from server.cluster import ping
from server.config import Config
from server.graphiql import GraphiqlPage
from server.metrics import Metrics
from storage.pool import Pool

if TYPE_CHECKING:
    from rest.graphql.view import GraphQL


def graphql_table(pool: Pool, config: Config, metrics: Metrics, guard: Guard) -> list[web.RouteDef]:
    """The route and the page; `guard` lets in whoever has a valid token."""

    @cache
    def view() -> GraphQL:
        # Imported for the first question: its libraries are a sixth of what a server loads at its
        # start, and only operators ask.
        from rest.graphql.desk import Desk, Sample
        from rest.graphql.view import GraphQL

        return GraphQL(
            Desk(
                pool,
                ping=partial(ping, config.secret("redis_url")),
                samples=lambda: [Sample(*each) for each in metrics.samples()],
            )
        )

    async def answer(request: web.Request) -> web.Response:
        # The first time beside the loop, which has calls to attend to.
        graphql = await asyncio.to_thread(view) if not view.cache_info().currsize else view()
        return await graphql.handle(request)

    return [web.post(PATH, guard(answer)), *GraphiqlPage().table()]
