"""The routes of live calls as data, and the refusals that all routes of calls share."""

from __future__ import annotations

from typing import Protocol

from rest.calls.bodies import (
    ActiveCall,
    AnswerBody,
    CallAnswer,
    CallBody,
    CallOpened,
    DebugEndBody,
    DebugEnded,
    IceAnswer,
    RejectBody,
)
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.route import Handler, Route

CALL_NOT_FOUND = Fault(404, "CALL_NOT_FOUND", "You have no such call.")
CALL_OVER = Fault(409, "CALL_OVER", "The call has ended.")
RECIPIENT_NOT_FOUND = Fault(404, "RECIPIENT_NOT_FOUND", "Nobody here can be called by that.")
INVALID_TARGET = Fault(400, "INVALID_PAYLOAD", "Give exactly one of toUserId and recipientPhone.")
INVALID_PHONE = Fault(
    400, "INVALID_PHONE", "A phone number is written internationally, as +2348012345678."
)
NOT_ALLOWED = Fault(403, "NOT_ALLOWED", "There is no debugging in production.")

VERB_ERRORS: tuple[str | Fault, ...] = (
    CALL_NOT_FOUND,
    CALL_OVER,
    "WRONG_STATE",
    "FORBIDDEN",
)
REQUEST_ERRORS: tuple[str | Fault, ...] = (
    INVALID_PHONE,
    RECIPIENT_NOT_FOUND,
    "BAD_FRAME",
    "SELF_CALL",
    "INSUFFICIENT_FUNDS",
    "BLOCKED",
    "FORBIDDEN",
    "SELF_BUSY",
    "PRICE_CHANGED",
    "CONFLICT",
    "COOLDOWN",
    *KEY_ERRORS,
)


class Handlers(Protocol):
    @property
    def create(self) -> Handler: ...
    @property
    def active(self) -> Handler: ...
    @property
    def answer(self) -> Handler: ...
    @property
    def reject(self) -> Handler: ...
    @property
    def cancel(self) -> Handler: ...
    @property
    def end(self) -> Handler: ...
    @property
    def ice_servers(self) -> Handler: ...
    @property
    def debug_end(self) -> Handler: ...


def call_routes(do: Handlers) -> list[Route]:
    return [
        Route(
            "POST",
            "/calls",
            do.create,
            summary="Call somebody; a busy or absent callee is a call that has ended already",
            returns=CallOpened,
            body=CallBody,
            tag="calls",
            status=201,
            errors=REQUEST_ERRORS,
            body_example={"toUserId": "0198f2a0-0000-7000-8000-000000000001", "kind": "audio"},
        ),
        Route(
            "GET",
            "/calls/active",
            do.active,
            summary="The call you are in, or null",
            returns=ActiveCall,
            tag="calls",
        ),
        Route(
            "GET",
            "/calls/{id}/ice-servers",
            do.ice_servers,
            summary="STUN and TURN servers for a live call of yours",
            returns=IceAnswer,
            tag="calls",
            errors=VERB_ERRORS,
        ),
        *_verbs(do),
    ]


def _verbs(do: Handlers) -> list[Route]:
    return [
        Route(
            "PATCH",
            "/calls/{id}/answer",
            do.answer,
            summary="Answer a call as its callee",
            returns=CallAnswer,
            body=AnswerBody,
            body_optional=True,
            tag="calls",
            errors=(*VERB_ERRORS, "ANSWERED_ELSEWHERE"),
        ),
        Route(
            "PATCH",
            "/calls/{id}/reject",
            do.reject,
            summary="Refuse a call as its callee",
            returns=CallAnswer,
            body=RejectBody,
            body_optional=True,
            tag="calls",
            errors=VERB_ERRORS,
        ),
        Route(
            "PATCH",
            "/calls/{id}/cancel",
            do.cancel,
            summary="Take a call back before it is answered, as its caller",
            returns=CallAnswer,
            tag="calls",
            errors=VERB_ERRORS,
        ),
        Route(
            "PATCH",
            "/calls/{id}/end",
            do.end,
            summary="Hang up or cancel, whatever the state; an ended call is returned unchanged",
            returns=CallAnswer,
            tag="calls",
            errors=(CALL_NOT_FOUND,),
        ),
        Route(
            "POST",
            "/calls/debug/end",
            do.debug_end,
            summary="End a call of yours in development",
            returns=DebugEnded,
            body=DebugEndBody,
            tag="calls",
            errors=(CALL_NOT_FOUND, NOT_ALLOWED),
        ),
    ]
