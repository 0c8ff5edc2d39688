"""Calls by request: every verb goes to the engine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar
from uuid import UUID

from aiohttp import web

from rest.calls.bodies import (
    ActiveCall,
    AnswerBody,
    CallAnswer,
    CallBody,
    CallOpened,
    CallView,
    DebugEndBody,
    DebugEnded,
    EndedMeta,
    IceAnswer,
    RejectBody,
)
from rest.calls.engine import DEVICE, Engine
from rest.calls.table import CALL_NOT_FOUND, CALL_OVER, INVALID_PHONE, NOT_ALLOWED, call_routes
from rest.calls.table import INVALID_TARGET as TARGET
from rest.calls.table import RECIPIENT_NOT_FOUND as RECIPIENT
from rest.calls.words import moment, socket_url, view_of_row, view_of_snapshot
from rest.http import phones
from rest.http.body import read_body
from rest.http.errors import Problem
from rest.http.idempotency import Idempotency, key_of
from rest.http.identity import caller
from rest.http.reply import reply
from rest.http.route import Route, path_id
from signalling.calls.actions import Ended
from signalling.codes import Code, Party, Refused, State
from signalling.commands import CallRequest, MediaWish
from storage import calls
from storage.calls import CallRow
from storage.deadline import Deadline
from storage.pool import Pool

DEADLINE = Deadline(4.0)

T = TypeVar("T")


class CallRoutes:
    def __init__(
        self,
        pool: Pool,
        engine: Engine,
        *,
        idempotency: Idempotency,
        clock: Callable[[], int],
        is_dev: bool,
        base_url: Callable[[], str],
        end_as_admin: Callable[[UUID], Awaitable[Ended]] | None = None,
        region: str | None = None,
    ) -> None:
        """`clock` gives Unix ms; `base_url` is the server's own, maybe known only once it listens;
        national phone numbers are `region`'s. `end_as_admin` ends any call of this node for an
        operator; without it only a call's own users can end one. With `is_dev` off the debug route
        refuses."""
        self._pool = pool
        self._engine = engine
        self._idempotency = idempotency
        self._clock = clock
        self._is_dev = is_dev
        self._base_url = base_url
        self._end_as_admin = end_as_admin
        self._region = region

    def table(self) -> list[Route]:
        return call_routes(self)

    async def create(self, request: web.Request) -> web.Response:
        body = await read_body(request, CallBody)
        wish = _wish(body, self._region)
        user_id = caller(request).user_id

        async def work() -> web.Response:
            try:
                # The key goes along: after a crash the engine still knows its call by it.
                opened = await self._engine.request(
                    caller=user_id,
                    device=DEVICE,
                    wish=wish,
                    request_id=key_of(request),
                    connect_on=body.connect_on,
                )
            except Refused as refused:
                raise _request_refused(refused) from None
            view = view_of_snapshot(opened.snapshot, self._clock())
            url = socket_url(self._base_url())
            return reply(CallOpened(call=view, merged=opened.merged, signaling_url=url), 201)

        return await self._idempotency.once(request, body, work)

    async def active(self, request: web.Request) -> web.Response:
        user_id = caller(request).user_id
        snapshot = await self._engine.live_call(user_id)
        if snapshot is not None:
            return reply(ActiveCall(call=view_of_snapshot(snapshot, self._clock())))
        async with DEADLINE(), self._pool.acquire() as conn:
            row = await calls.live_call(conn, user_id)
        view = None if row is None else await self._view(row, user_id)
        # The row of a call that has just ended here may not say so yet.
        return reply(ActiveCall(call=None if view and view.state is State.ENDED else view))

    async def answer(self, request: web.Request) -> web.Response:
        body = await read_body(request, AnswerBody, optional=True)
        media = MediaWish(audio=body.media.audio, video=body.media.video)
        user_id, call_id = caller(request).user_id, path_id(request)
        try:
            snapshot = await self._engine.accept(user_id, call_id, media=media)
        except Refused as refused:
            await self._refuse(user_id, call_id, refused)
        return reply(CallAnswer(call=view_of_snapshot(snapshot, self._clock())))

    async def reject(self, request: web.Request) -> web.Response:
        body = await read_body(request, RejectBody, optional=True)
        user_id, call_id = caller(request).user_id, path_id(request)
        try:
            snapshot = await self._engine.reject(
                user_id, call_id, reason=body.reason, note=body.note
            )
        except Refused as refused:
            await self._refuse(user_id, call_id, refused)
        return reply(CallAnswer(call=view_of_snapshot(snapshot, self._clock())))

    async def cancel(self, request: web.Request) -> web.Response:
        user_id, call_id = caller(request).user_id, path_id(request)
        try:
            snapshot = await self._engine.snapshot(user_id, call_id)
        except Refused as refused:
            await self._refuse(user_id, call_id, refused)
        if snapshot is not None and snapshot.state is not State.ENDED:
            if snapshot.role is not Party.CALLER:
                raise Refused(Code.FORBIDDEN, "Only the caller cancels; reject the call.")
            if snapshot.state not in (State.REQUESTED, State.RINGING):
                raise Problem(409, "WRONG_STATE", "The call was answered; end it instead.")
        return reply(CallAnswer(call=await self._end(user_id, call_id)))

    async def end(self, request: web.Request) -> web.Response:
        user_id, call_id = caller(request).user_id, path_id(request)
        return reply(CallAnswer(call=await self._end(user_id, call_id)))

    async def ice_servers(self, request: web.Request) -> web.Response:
        user_id, call_id = caller(request).user_id, path_id(request)
        try:
            servers = await self._engine.ice_servers(user_id, call_id)
        except Refused as refused:
            await self._refuse(user_id, call_id, refused)
        return reply(IceAnswer(ice_servers=servers))

    async def debug_end(self, request: web.Request) -> web.Response:
        if not self._is_dev:
            raise NOT_ALLOWED.problem()
        body = await read_body(request, DebugEndBody)
        identity = caller(request)
        if "admin" in identity.roles and self._end_as_admin is not None:
            try:
                ended = await self._end_as_admin(body.call_id)
            except Refused as refused:
                await self._refuse(identity.user_id, body.call_id, refused)
            meta = EndedMeta(
                ended_at=moment(ended.ended_ms),
                duration_seconds=ended.final.talk_seconds,
                billed_units=ended.final.units,
                billed_points=ended.final.total,
            )
        else:
            view = await self._end(identity.user_id, body.call_id)
            assert view.ended_at is not None, "it has ended"
            meta = EndedMeta(
                ended_at=view.ended_at,
                duration_seconds=view.duration_seconds,
                billed_units=view.billed_units,
                billed_points=view.billed_points,
            )
        return reply(DebugEnded(ended=True, meta=meta))

    async def _end(self, user_id: UUID, call_id: UUID) -> CallView:
        """Hang up, or cancel, as the state has it; an ended call stays as it is."""
        try:
            await self._engine.end(user_id, call_id)
        except Refused as refused:
            if refused.code not in (Code.NOT_FOUND, Code.NOT_YOUR_CALL, Code.CALL_OVER):
                raise
        else:
            snapshot = await self._engine.snapshot(user_id, call_id)
            if snapshot is not None:
                return view_of_snapshot(snapshot, self._clock())
        row = await self._read(user_id, call_id)
        if row is None:
            raise CALL_NOT_FOUND.problem()
        if row.state != State.ENDED:
            raise Refused(Code.UNAVAILABLE, "The call is on its way; ask again.")
        return await self._view(row, user_id)

    async def _read(self, user_id: UUID, call_id: UUID) -> CallRow | None:
        async with DEADLINE(), self._pool.acquire() as conn:
            return await calls.read_call(conn, user_id, call_id)

    async def _view(self, row: CallRow, user_id: UUID) -> CallView:
        """The engine knows a live call better than its row, which is written behind."""
        if row.state != State.ENDED:
            snapshot = await self._engine.snapshot(user_id, row.call_id)
            if snapshot is not None:
                return view_of_snapshot(snapshot, self._clock())
        return view_of_row(row, user_id, self._clock())

    async def _refuse(self, user_id: UUID, call_id: UUID, refused: Refused) -> NoReturn:
        """Strangers get one and the same answer for a call of others and for none at all."""
        if refused.code not in (Code.NOT_FOUND, Code.NOT_YOUR_CALL):
            raise refused
        row = await self._read(user_id, call_id)
        if row is None:
            raise CALL_NOT_FOUND.problem()
        if row.state == State.ENDED:
            raise CALL_OVER.problem()
        raise Refused(Code.UNAVAILABLE, "The call is on its way; ask again.")


def _wish(body: CallBody, region: str | None) -> CallRequest:
    """The body in the socket's terms.

    Raises:
        Problem: 400, no or several targets, a number that is none, or two different kinds.
    """
    phone_text = body.recipient_phone or body.recipient_phone_snake
    twice = body.recipient_phone is not None and body.recipient_phone_snake is not None
    if twice or (body.to_user_id is None) == (phone_text is None):
        raise TARGET.problem(field="toUserId")
    if body.kind and body.type and body.kind != body.type:
        raise Problem(400, "INVALID_PAYLOAD", "kind and type differ.", {"field": "type"})
    phone = None
    if phone_text is not None:
        phone = phones.e164(phone_text, region)
        if phone is None:
            raise INVALID_PHONE.problem(field="recipientPhone")
    return CallRequest(
        to_user_id=body.to_user_id,
        to_phone=phone,
        kind=body.kind or body.type or "audio",
        max_price_per_minute=body.max_price_per_minute,
        connect_on=body.connect_on,
        call_id=body.call_id,
        note=body.note,
    )


def _request_refused(refused: Refused) -> Exception:
    """The engine's refusal in the words of this route."""
    if refused.code is Code.NOT_FOUND:
        return RECIPIENT.problem()
    if refused.field is not None:
        refused.field = refused.field.removeprefix("data.")
    return refused
