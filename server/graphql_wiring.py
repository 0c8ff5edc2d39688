"""GraphQL's way into the server: its route, and what its fields are answered from."""

from __future__ import annotations

from functools import partial

from aiohttp import web

from rest.graphql.desk import Desk, Sample
from rest.graphql.view import PATH, GraphQL
from rest.http.route import Guard
from server.cluster import ping
from server.config import Config
from server.graphiql import GraphiqlPage
from server.metrics import Metrics
from storage.pool import Pool


def graphql_table(pool: Pool, config: Config, metrics: Metrics, guard: Guard) -> list[web.RouteDef]:
    """The route and the page; `guard` lets in whoever has a valid token."""
    desk = Desk(
        pool,
        ping=partial(ping, config.secret("redis_url")),
        samples=lambda: [Sample(*each) for each in metrics.samples()],
    )
    return [web.post(PATH, guard(GraphQL(desk).handle)), *GraphiqlPage().table()]
