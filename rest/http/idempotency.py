"""`Idempotency-Key`: a repeated request gets the first answer and has no second effect."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from hashlib import sha256

import msgspec
from aiohttp import hdrs, web

from rest.http.body import Body
from rest.http.errors import REQUEST_ID, ErrorBody, Fault, answer, problem_of
from rest.http.identity import caller
from storage import idempotency
from storage.deadline import Deadline
from storage.idempotency import Claim, Kept
from storage.pool import Pool, is_lost

HEADER = "Idempotency-Key"
REPLAYED = "Idempotent-Replayed"
DEADLINE = Deadline(4.0)
INVALID_KEY = Fault(
    400, "INVALID_IDEMPOTENCY_KEY", "Idempotency-Key is 1 to 255 visible ASCII characters."
)
# What a route with keys lists in its `errors`.
ERRORS: tuple[str | Fault, ...] = (
    INVALID_KEY,
    "IDEMPOTENCY_CONFLICT",
    "IDEMPOTENCY_IN_PROGRESS",
)

_key = re.compile(r"[!-~]{1,255}", re.ASCII)
_encode = msgspec.json.Encoder(order="deterministic").encode
# Refusals that pass by themselves: nothing was applied, so the same key may try again.
_PASSING = frozenset({408, 429})


def key_of(request: web.Request) -> str | None:
    """The request's key, if it has one.

    Raises:
        Problem: 400 INVALID_IDEMPOTENCY_KEY.
    """
    given = request.headers.getall(HEADER, [])
    if not given:
        return None
    if len(given) > 1 or not _key.fullmatch(given[0]):
        raise INVALID_KEY.problem()
    return given[0]


class Idempotency:
    """Keeps answers per account, route and key for 24 hours.

    Refusals are answers and are kept too; a failure of ours (5xx) and "not so fast" are not.
    """

    def __init__(
        self,
        pool: Pool,
        *,
        epoch: int | None = None,
        passed: Callable[[str], None] | None = None,
    ) -> None:
        """`epoch` is this life of this node: when it is found dead, what it was answering may be
        asked again. `passed` hears "keyed" when a request is done and its answer not yet kept."""
        self._pool = pool
        self._epoch = epoch
        self._passed = passed

    async def once(
        self, request: web.Request, body: Body, work: Callable[[], Awaitable[web.Response]]
    ) -> web.Response:
        """Do `work`, or give the answer it gave. Without a key it is simply done.

        Raises:
            Problem: 400 INVALID_IDEMPOTENCY_KEY.
            Refusal: idempotency_conflict, the key came with another body; idempotency_in_progress.
        """
        key = key_of(request)
        if key is None:
            return await work()
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await idempotency.claim(
                conn,
                user_id=caller(request).user_id,
                route=f"{request.method} {request.path}",
                key=key,
                body_hash=sha256(_encode(body)).digest(),
                epoch=self._epoch,
            )
        if isinstance(found, Kept):
            return _replay(found, request.get(REQUEST_ID, ""))
        try:
            response = await work()
        except Exception as error:
            problem = problem_of(error)
            if problem is None or problem.status >= 500 or problem.status in _PASSING:
                await self._close(found, None)
            else:
                await self._close(found, answer(problem, request.get(REQUEST_ID, "")))
            raise
        if self._passed is not None:
            self._passed("keyed")
        await self._close(found, response)
        return response

    async def _close(self, claim: Claim, response: web.Response | None) -> None:
        """Keep the answer or release the key. Without the database the claim goes stale alone."""
        try:
            async with DEADLINE(), self._pool.acquire() as conn:
                if response is None:
                    await idempotency.release(conn, claim)
                else:
                    body = response.body
                    assert isinstance(body, bytes), "answers of routes with keys are whole"
                    await idempotency.keep(conn, claim, status=response.status, answer=body)
        except Exception as error:
            if not is_lost(error):
                raise


def _replay(kept: Kept, request_id: str) -> web.Response:
    body = kept.answer
    if kept.status >= 400:
        # The refusal is the first one's; the request that hears it now has an id of its own.
        refusal = msgspec.json.decode(body, type=ErrorBody)
        body = msgspec.json.encode(msgspec.structs.replace(refusal, request_id=request_id))
    return web.Response(
        body=body,
        status=kept.status,
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store", REPLAYED: "true"},
    )
