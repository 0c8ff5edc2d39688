"""POST /graphql: who may ask, how much, and how mistakes are told.

No GET, no batches, no uploads and no subscriptions: one question in, one answer out.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
import structlog
from aiohttp import hdrs, web
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode

from rest.graphql.desk import Asked, Desk
from rest.graphql.limits import read_document
from rest.graphql.schema import schema
from rest.http.body import Body, read_body
from rest.http.errors import REQUEST_ID, Problem, internal, problem_of
from rest.http.identity import caller

ROLE = "admin"
DEADLINE_S = 10.0
ERRORS_MAX = 20

_log = structlog.stdlib.get_logger(__name__)
_encode = msgspec.json.Encoder().encode

Json = dict[str, Any]


class Question(Body, frozen=True):
    """`extensions` is what some clients send; nothing of it is read."""

    query: Annotated[str, msgspec.Meta(min_length=1)]
    variables: Json | None = None
    operation_name: str | None = None
    extensions: Json | None = None


class GraphQL:
    def __init__(self, desk: Desk, *, deadline_s: float = DEADLINE_S) -> None:
        self._desk = desk
        self._deadline_s = deadline_s

    async def handle(self, request: web.Request) -> web.Response:
        """To be guarded by `Access`.

        Raises:
            Problem: 401, 403, 400 and 413 for the body, 503 after 10 s. What is wrong with the
                question itself is told in GraphQL's own way: 200 with `errors`.
        """
        me = caller(request)
        if ROLE not in me.roles:
            raise Problem(403, "FORBIDDEN", "Your account may not do this.")
        asked = Asked(self._desk, me.user_id, request[REQUEST_ID])
        question = await read_body(request, Question)
        try:
            async with asyncio.timeout(self._deadline_s) as deadline:
                answer = await answer_to(question, asked)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise Problem(
                503, "UNAVAILABLE", "This took too long; ask for less.", retry_after_ms=1000
            ) from None
        return web.Response(
            body=_encode(answer),
            content_type="application/json",
            headers={hdrs.CACHE_CONTROL: "no-store"},
        )


async def answer_to(question: Question, asked: Asked) -> Json:
    """`data` and, if anything went wrong, `errors`."""
    try:
        check_operation(read_document(question.query), question.operation_name)
        result = await schema.execute(
            question.query,
            variable_values=question.variables,
            context_value=asked,
            operation_name=question.operation_name,
        )
    except GraphQLError as error:
        return {"data": None, "errors": [told(error, asked.request_id)]}
    answer: Json = {"data": result.data}
    if result.errors:
        answer["errors"] = [told(each, asked.request_id) for each in result.errors[:ERRORS_MAX]]
    return answer


def check_operation(document: DocumentNode, name: str | None) -> None:
    """
    Raises:
        GraphQLError: which operation is meant cannot be told. (The library would do the first.)
    """
    names = [
        None if each.name is None else each.name.value
        for each in document.definitions
        if isinstance(each, OperationDefinitionNode)
    ]
    if not names:
        raise GraphQLError("There is no operation in the query.")
    if name is None and len(names) > 1:
        raise GraphQLError("Say in operationName which of the operations is meant.")
    if name is not None and name not in names:
        raise GraphQLError("There is no operation of that name in the query.")


def told(error: GraphQLError, request_id: str) -> Json:
    """What the client hears: of refusals the code REST has for them, of mistakes of ours the
    incident's id alone."""
    cause = error.original_error
    message = error.message
    extensions: Json = {"requestId": request_id}
    if cause is None or isinstance(cause, GraphQLError):
        # The question itself is wrong, and graphql-core says where; no field raises these.
        extensions["code"] = "INVALID_QUERY"
    else:
        problem = problem_of(cause)
        if problem is None:
            _log.error("unexpected", incident=request_id, exc_info=cause)
            problem = internal(request_id)
        message = problem.message
        extensions |= {"code": problem.code}
        if problem.details:
            extensions["details"] = problem.details
    found: Json = {"message": message, "extensions": extensions}
    if error.locations:
        found["locations"] = [
            {"line": each.line, "column": each.column} for each in error.locations
        ]
    if error.path:
        found["path"] = error.path
    return found
