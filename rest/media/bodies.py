"""Shapes of media hooks."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta

from rest.http.body import Body
from signalling.codes import State
from signalling.events import Shape


class HookBody(Body, frozen=True):
    """`callId` binds the signature to the call: with it, the delivery is good for no other one.

    `timestamp` and `reason` are for the sender's own logs.
    """

    call_id: UUID | None = None
    timestamp: int | datetime | None = None
    reason: Annotated[str, Meta(max_length=200)] | None = None


class HookAnswer(Shape, frozen=True):
    """The call's state after the hook; `ended` also for news that came too late."""

    call_id: UUID
    state: State
