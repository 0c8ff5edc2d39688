"""Hooks of the operator's media server: signed, and the only proof of media besides the legs'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol
from uuid import UUID

import msgspec
from aiohttp import hdrs, web

from rest.http.body import BODY_BYTES_MAX, read_raw, refuse_tokens
from rest.http.errors import Fault, Problem
from rest.http.reply import reply
from rest.http.route import Handler, Route, path_id
from rest.http.signature import Forged, check
from rest.media.bodies import HookAnswer, HookBody
from signalling.codes import Code, Refused, State

SIGNATURE_HEADER = "X-Talktime-Signature"
Kind = Literal["connected", "rtp", "end"]

CALL_NOT_FOUND = Fault(404, "CALL_NOT_FOUND", "This node knows no such call.")
# One answer for everything that is not provably from the media server.
INVALID_SIGNATURE = Fault(401, "INVALID_SIGNATURE", "This is not signed by our media server.")
SUMMARIES: dict[Kind, str] = {
    "connected": "Media flows both ways: an answered call connects, an interrupted one goes on",
    "rtp": "Media still flows both ways: fresh proof for both legs",
    "end": "The media is gone: the call waits until both legs are back",
}

_decode = msgspec.json.Decoder(HookBody).decode


class Engine(Protocol):
    async def media_hook(self, call_id: UUID, kind: Kind) -> State: ...


class MediaRoutes:
    """Each hook is signed: `X-Talktime-Signature: t=<unix seconds>,v1=<hex HMAC-SHA-256>` over
    `t`, a full stop and the raw body, at most 300 s ago."""

    def __init__(self, engine: Engine, *, secret: bytes, clock: Callable[[], int]) -> None:
        """`clock` gives Unix ms. An empty `secret` lets nobody in."""
        self._engine = engine
        self._secrets = [secret] if secret else []
        self._clock = clock

    def table(self) -> list[Route]:
        return [
            Route(
                "POST",
                f"/sfu/calls/{{id}}/{kind}",
                self._handler(kind),
                summary=f"{summary} (signed: {SIGNATURE_HEADER})",
                returns=HookAnswer,
                body=HookBody,
                body_optional=True,
                tag="media hooks",
                auth=False,
                errors=(INVALID_SIGNATURE, CALL_NOT_FOUND, "WRONG_STATE"),
            )
            for kind, summary in SUMMARIES.items()
        ]

    def _handler(self, kind: Kind) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self.hook(request, kind)

        return handle

    async def hook(self, request: web.Request, kind: Kind) -> web.Response:
        refuse_tokens(request)
        raw = await read_raw(request, BODY_BYTES_MAX)
        given = request.headers.getall(SIGNATURE_HEADER, [])
        try:
            header = given[0] if len(given) == 1 else None
            check(self._secrets, header, raw, self._clock() // 1000)
        except Forged:
            refusal = INVALID_SIGNATURE.problem()
            refusal.headers[hdrs.WWW_AUTHENTICATE] = SIGNATURE_HEADER
            raise refusal from None
        call_id = path_id(request)
        body = read_hook(raw)
        if body.call_id not in (None, call_id):
            raise Problem(400, "INVALID_PAYLOAD", "Signed for another call.", {"field": "callId"})
        try:
            state = await self._engine.media_hook(call_id, kind)
        except Refused as refused:
            if refused.code is Code.NOT_FOUND:
                raise CALL_NOT_FOUND.problem() from None
            raise
        return reply(HookAnswer(call_id=call_id, state=state))


def read_hook(raw: bytes) -> HookBody:
    """The signed body; an empty one says nothing more than its path.

    Raises:
        Problem: 400 INVALID_PAYLOAD.
    """
    if not raw:
        return HookBody()
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "INVALID_PAYLOAD", "The body is not that of a hook.") from None
