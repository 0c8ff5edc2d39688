"""People, for operators: found, looked at, suspended and restored."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Literal
from uuid import UUID

import msgspec
from aiohttp import web

from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.identity import NO_USER, caller
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.operators.people_bodies import (
    PERSON_EXAMPLE,
    REASON_EXAMPLE,
    PersonAnswer,
    PersonDetail,
    PersonList,
    PersonQuery,
    PersonView,
    ReasonBody,
    StandingAnswer,
)
from signalling.codes import Refused
from storage import people, sanctions
from storage.deadline import Deadline
from storage.errors import Unavailable
from storage.people import Deeds, Person
from storage.pool import Pool

log = logging.getLogger(__name__)

DEADLINE = Deadline(4.0)
# A call that ends tells so within 2 s, whether its books are closed or not.
END_S = 3.0
ADMIN = ("admin",)
TAG = "operators"
USERS, USER = "/operators/users", "/operators/users/{id}"

SELF_SUSPENSION = Fault(403, "SELF_SUSPENSION", "You cannot suspend yourself.")

_DEEDS = Deeds(
    blocks=0,
    blocked_by=2,
    calls_made=3,
    calls_taken=41,
    spent_minor=360,
    earned_minor=9_800,
    live_call_id=None,
)


class PeopleRoutes:
    def __init__(
        self,
        pool: Pool,
        *,
        currency: str,
        clock: Callable[[], int],
        stop: Callable[[UUID], Awaitable[object]],
        end_session: Callable[..., None],
    ) -> None:
        """`clock` gives Unix ms; `stop` ends a live call of any node as the operator, and raises
        `Refused`; `end_session` is told of the ids of sessions that were revoked, to refuse their
        tokens and close their sockets."""
        self._pool = pool
        self._currency = currency
        self._clock = clock
        self._stop = stop
        self._end_session = end_session

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                USERS,
                self.find,
                summary="Find people, the newest accounts first",
                returns=PersonList,
                query=PersonQuery,
                tag=TAG,
                roles=ADMIN,
                example=PersonList(items=[PERSON_EXAMPLE], total=1, limit=20, offset=0),
            ),
            Route(
                "GET",
                USER,
                self.one,
                summary="One account, and what its owner has done",
                returns=PersonAnswer,
                tag=TAG,
                roles=ADMIN,
                errors=(NO_USER,),
                example=PersonAnswer(user=_detail(PERSON_EXAMPLE, _DEEDS)),
            ),
            Route(
                "POST",
                f"{USER}/suspend",
                self.suspend,
                summary="Close an account until it is restored; its log-ins and its live call end",
                returns=StandingAnswer,
                body=ReasonBody,
                tag=TAG,
                roles=ADMIN,
                errors=(NO_USER, SELF_SUSPENSION, "WRONG_STATE"),
                example=StandingAnswer(
                    user=msgspec.structs.replace(PERSON_EXAMPLE, status="suspended"),
                    sessions_ended=2,
                ),
                body_example=REASON_EXAMPLE,
            ),
            Route(
                "POST",
                f"{USER}/restore",
                self.restore,
                summary="Open a suspended account again; its owner has to log in anew",
                returns=StandingAnswer,
                body=ReasonBody,
                tag=TAG,
                roles=ADMIN,
                errors=(NO_USER, "WRONG_STATE"),
                example=StandingAnswer(user=PERSON_EXAMPLE, sessions_ended=0),
                body_example=ReasonBody(reason="It was a mistake."),
            ),
        ]

    async def find(self, request: web.Request) -> web.Response:
        query = read_query(request, PersonQuery)
        offset = first_row(query)
        async with DEADLINE(), self._pool.acquire() as conn:
            found, total = await people.find(
                conn,
                self._currency,
                text=query.q,
                role=query.role,
                status=query.status,
                limit=query.limit,
                offset=offset,
            )
        items = [self._view(each) for each in found]
        return reply(PersonList(items=items, total=total, limit=query.limit, offset=offset))

    async def one(self, request: web.Request) -> web.Response:
        user_id = path_id(request)
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await people.read(conn, user_id, self._currency)
            if found is None:
                raise NO_USER.problem()
            deeds = await people.read_deeds(conn, user_id)
        return reply(PersonAnswer(user=_detail(self._view(found), deeds)))

    async def suspend(self, request: web.Request) -> web.Response:
        return await self._stand(request, "suspended")

    async def restore(self, request: web.Request) -> web.Response:
        return await self._stand(request, "active")

    async def _stand(
        self, request: web.Request, status: Literal["active", "suspended"]
    ) -> web.Response:
        body = await read_body(request, ReasonBody)
        user_id, operator = path_id(request), caller(request).user_id
        if status == "suspended" and user_id == operator:
            raise SELF_SUSPENSION.problem()
        call_id: UUID | None = None
        async with DEADLINE(), self._pool.acquire() as conn:
            async with conn.transaction():
                ended = await sanctions.set_standing(
                    conn,
                    user_id,
                    status,
                    operator=operator,
                    reason=body.reason,
                    now_ms=self._clock(),
                )
                if status == "suspended":
                    call_id = await sanctions.end_call_of(
                        conn, user_id, operator=operator, reason=body.reason
                    )
                found = await people.read(conn, user_id, self._currency)
            assert found is not None, "accounts are never deleted whole"
        # First, so that the devices hear why; then they lose their sockets.
        if call_id is not None:
            await self._end_call(call_id)
        self._end_session(*ended)
        return reply(StandingAnswer(user=self._view(found), sessions_ended=len(ended)))

    async def _end_call(self, call_id: UUID) -> None:
        """Never raises: a job was promised that tries again."""
        try:
            async with asyncio.timeout(END_S):
                await self._stop(call_id)
        except (Refused, Unavailable, TimeoutError):
            log.warning("a suspended user's call has not ended yet", extra={"call": str(call_id)})

    def _view(self, person: Person) -> PersonView:
        return PersonView(
            id=person.id,
            name=person.name,
            email=person.email,
            phone=person.phone,
            roles=person.roles,
            status=person.status,
            created_at=person.created_at,
            last_seen_at=person.last_seen_at,
            balance=person.balance_minor,
            earnings=person.earnings_minor,
            currency=self._currency,
            price_audio=person.price_audio_minor,
            price_video=person.price_video_minor,
        )


def _detail(view: PersonView, deeds: Deeds) -> PersonDetail:
    fields: dict[str, Any] = msgspec.structs.asdict(view)
    return PersonDetail(
        **fields,
        blocks=deeds.blocks,
        blocked_by=deeds.blocked_by,
        calls_made=deeds.calls_made,
        calls_taken=deeds.calls_taken,
        spent=deeds.spent_minor,
        earned=deeds.earned_minor,
        live_call_id=deeds.live_call_id,
    )
