"""Reviews: a caller's word about a call, and what everybody reads of it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Protocol
from uuid import UUID

from aiohttp import web

from rest.http.body import read_body, read_query
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency
from rest.http.identity import caller
from rest.http.pages import first_row
from rest.http.reply import reply
from rest.http.route import Route, path_id
from rest.providers import bodies, examples, rules
from rest.providers.rules import NO_PROVIDER
from rest.providers.shown import call_review_view, review_view
from storage import reviews
from storage.pool import Connection, Pool, within

DB_S = 4.0

# Said by `storage.reviews`.
CALL_NOT_FOUND = Fault(404, "CALL_NOT_FOUND", "You have no such call.")
CALL_NOT_FINISHED = Fault(
    409,
    "CALL_NOT_FINISHED",
    "Only a call in which you talked, and which has ended, can be reviewed.",
)
POSTED = Fault(409, "REVIEW_ALREADY_POSTED", "This call has its review.")
REVIEW_NOT_FOUND = Fault(404, "REVIEW_NOT_FOUND", "This call has no review.")
CLOSED = Fault(409, "REVIEW_CLOSED", "A review can be changed for 24 hours.")


class Write(Protocol):
    """Post or edit."""

    def __call__(
        self, conn: Connection, *, call_id: UUID, author_id: UUID, score: int, comment: str
    ) -> Awaitable[reviews.Review]: ...


class ReviewRoutes:
    def __init__(self, pool: Pool, *, idempotency: Idempotency) -> None:
        self._pool = pool
        self._idempotency = idempotency

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                "/calls/{id}/review",
                self.post,
                summary="Review a call that has ended, once, as its caller",
                returns=bodies.CallReviewAnswer,
                body=bodies.ReviewBody,
                tag="reviews",
                status=201,
                errors=(
                    CALL_NOT_FOUND,
                    CALL_NOT_FINISHED,
                    POSTED,
                    NO_PROVIDER,
                    "FORBIDDEN",
                    *KEY_ERRORS,
                ),
                example=bodies.CallReviewAnswer(review=examples.CALL_REVIEW),
            ),
            Route(
                "PUT",
                "/calls/{id}/review",
                self.edit,
                summary="Change one's review within 24 hours",
                returns=bodies.CallReviewAnswer,
                body=bodies.ReviewBody,
                tag="reviews",
                errors=(CALL_NOT_FOUND, REVIEW_NOT_FOUND, CLOSED),
                example=bodies.CallReviewAnswer(review=examples.CALL_REVIEW),
            ),
            Route(
                "GET",
                "/calls/{id}/review",
                self.of_call,
                summary="The review of a call, for its two users",
                returns=bodies.CallReviewAnswer,
                tag="reviews",
                errors=(CALL_NOT_FOUND, REVIEW_NOT_FOUND),
                example=bodies.CallReviewAnswer(review=examples.CALL_REVIEW),
            ),
            Route(
                "GET",
                "/otomo/{id}/reviews",
                self.of_provider,
                summary="What callers said of a provider",
                returns=bodies.Reviews,
                query=bodies.ReviewQuery,
                tag="reviews",
                aliases=("/providers/{id}/reviews",),
                errors=(NO_PROVIDER,),
                example=bodies.Reviews(items=[examples.REVIEW], total=1, limit=20, offset=0),
            ),
            Route(
                "GET",
                "/otomo/reviews",
                self.own,
                summary="What callers said of the caller as a provider, and the scores",
                returns=bodies.OwnReviews,
                query=bodies.ReviewQuery,
                tag="reviews",
                aliases=("/providers/reviews",),
                errors=(NO_PROVIDER,),
                example=bodies.OwnReviews(
                    items=[examples.REVIEW],
                    total=2,
                    limit=1,
                    offset=0,
                    summary=examples.SUMMARY,
                ),
            ),
        ]

    async def post(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.ReviewBody)

        async def work() -> web.Response:
            posted = await within(DB_S, self._write(request, body, reviews.post))
            return reply(bodies.CallReviewAnswer(review=call_review_view(posted)), 201)

        return await self._idempotency.once(request, body, work)

    async def edit(self, request: web.Request) -> web.Response:
        body = await read_body(request, bodies.ReviewBody)
        edited = await within(DB_S, self._write(request, body, reviews.edit))
        return reply(bodies.CallReviewAnswer(review=call_review_view(edited)))

    async def _write(
        self, request: web.Request, body: bodies.ReviewBody, write: Write
    ) -> reviews.Review:
        comment = rules.clean_comment(body.comment)
        async with self._pool.acquire(timeout=DB_S) as conn, conn.transaction():
            return await write(
                conn,
                call_id=path_id(request),
                author_id=caller(request).user_id,
                score=body.score,
                comment=comment,
            )

    async def of_call(self, request: web.Request) -> web.Response:
        async with self._pool.acquire(timeout=DB_S) as conn:
            found = await within(
                DB_S, reviews.read(conn, caller(request).user_id, path_id(request))
            )
        if found is None:
            raise REVIEW_NOT_FOUND.problem()
        return reply(bodies.CallReviewAnswer(review=call_review_view(found)))

    async def of_provider(self, request: web.Request) -> web.Response:
        query = read_query(request, bodies.ReviewQuery)
        offset = first_row(query)
        provider_id = path_id(request)
        async with self._pool.acquire(timeout=DB_S) as conn:
            total = await within(DB_S, reviews.count_of(conn, provider_id))
            if total is None:
                raise NO_PROVIDER.problem()
            items = await self._page(conn, provider_id, query, offset)
        return reply(bodies.Reviews(total=total, limit=query.limit, offset=offset, items=items))

    async def own(self, request: web.Request) -> web.Response:
        query = read_query(request, bodies.ReviewQuery)
        offset = first_row(query)
        me = caller(request).user_id
        async with self._pool.acquire(timeout=DB_S) as conn:
            scores = await within(DB_S, reviews.histogram(conn, me))
            if scores is None:
                raise NO_PROVIDER.problem()
            items = await self._page(conn, me, query, offset)
        total = sum(scores.values())
        score_sum = sum(score * times for score, times in scores.items())
        summary = bodies.RatingSummary(
            average=rules.average(score_sum, total),
            count=total,
            histogram={str(score): times for score, times in scores.items()},
        )
        return reply(
            bodies.OwnReviews(
                total=total, limit=query.limit, offset=offset, items=items, summary=summary
            )
        )

    async def _page(
        self, conn: Connection, provider_id: UUID, query: bodies.ReviewQuery, offset: int
    ) -> list[bodies.Review]:
        found = await within(
            DB_S,
            reviews.list_of(conn, provider_id, sort=query.sort, limit=query.limit, offset=offset),
        )
        return [review_view(each) for each in found]
