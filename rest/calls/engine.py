"""The call engine as the routes see it; the socket handlers use the same one."""

from __future__ import annotations

from typing import Literal, Protocol
from uuid import UUID

from signalling.commands import CallRequest, MediaWish
from signalling.core.model import REST
from signalling.events import Final, IceServer, Snapshot

# The device of a party that acts by request and has no socket in the call.
DEVICE = REST


class Opened(Protocol):
    """A requested call as the caller sees it; it may have ended already (busy, unavailable)."""

    @property
    def call_id(self) -> UUID: ...
    @property
    def snapshot(self) -> Snapshot: ...
    @property
    def merged(self) -> bool: ...


class Engine(Protocol):
    """All raise `Refused`. A call that no node has in memory is `not_found`."""

    async def request(
        self,
        *,
        caller: UUID,
        device: str,
        wish: CallRequest,
        request_id: str | None,
        connect_on: str,
    ) -> Opened: ...

    async def accept(self, user_id: UUID, call_id: UUID, *, media: MediaWish) -> Snapshot: ...

    async def reject(
        self,
        user_id: UUID,
        call_id: UUID,
        *,
        reason: Literal["declined", "busy", "away"],
        note: str | None,
    ) -> Snapshot: ...

    async def end(self, user_id: UUID, call_id: UUID) -> Final: ...

    async def snapshot(self, user_id: UUID, call_id: UUID) -> Snapshot | None: ...

    async def live_call(self, user_id: UUID) -> Snapshot | None: ...

    async def ice_servers(self, user_id: UUID, call_id: UUID) -> list[IceServer]: ...
