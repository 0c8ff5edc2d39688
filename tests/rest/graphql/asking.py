"""GraphQL on a fresh database, and somebody who asks it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient

from rest.graphql import PATH
from rest.graphql.desk import Sample
from tests.rest.harness import Answer, Person, Rest, read_answer

Json = dict[str, Any]
# Where Redis never answers and nobody waits long for it.
HASTY = "/graphql/hasty"


@dataclass(slots=True)
class Graph:
    """`ask` is the way in; `pinged` what Redis says, or what asking it raises."""

    rest: Rest
    admin: Person
    pinged: list[str | Exception]
    samples: list[Sample] = field(default_factory=list)

    @property
    def client(self) -> TestClient[web.Request, web.Application]:
        return self.rest.client

    async def post(self, body: object, by: Person | None = None, path: str = PATH) -> Answer:
        headers = {} if by is None else {"Authorization": f"Bearer {by.token}"}
        async with self.client.post(path, json=body, headers=headers) as response:
            return await read_answer(response)

    async def ask(self, query: str, **variables: object) -> Json:
        """`data`; nothing may have gone wrong."""
        answer = await self.post({"query": query, "variables": variables}, self.admin)
        assert (answer.status, answer.body.get("errors")) == (200, None), answer.raw
        data: Json = answer.body["data"]
        return data

    async def refused(self, query: str, **variables: object) -> Json:
        """The one error that there is."""
        answer = await self.post({"query": query, "variables": variables}, self.admin)
        assert answer.status == 200, answer.raw
        [error] = answer.body["errors"]
        assert error["extensions"]["requestId"] == answer.headers["x-request-id"]
        found: Json = error
        return found
