"""What becomes of the promises of the outbox: one function for each topic."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

import msgspec

from signalling.events import Event, Notification, WalletUpdated
from storage import notifications, settlement, wallet

Body = dict[str, object]

log = logging.getLogger(__name__)


class _Told(msgspec.Struct, rename="camel"):
    user_id: UUID
    notification: Notification


class _Many(msgspec.Struct):
    items: list[_Told]


class Deliveries:
    def __init__(
        self,
        *,
        tell: Callable[[UUID, Event], None],
        funded: Callable[[UUID, int | None], Awaitable[None]],
    ) -> None:
        """`tell` sends an event to all devices of a user; `funded` lets a live call of theirs look
        at the wallet again, and at the account of their bonus money if there is one."""
        self._tell = tell
        self._funded = funded
        self._by_topic: dict[str, Callable[[UUID, Body], Awaitable[None]]] = {
            settlement.COMPLETED_TOPIC: self._payment_completed,
            notifications.TOPIC: self._notification,
            notifications.MANY_TOPIC: self._notifications,
            wallet.CHANGED_TOPIC: self._wallet_changed,
        }

    async def deliver(self, topic: str, user_id: UUID, body: Body) -> None:
        """Keep one promise.

        Raises:
            msgspec.ValidationError: the body is not what its topic promises.
        """
        found = self._by_topic.get(topic)
        if found is None:
            log.error("an outbox topic nobody knows", extra={"topic": topic})
            return
        await found(user_id, body)

    async def _payment_completed(self, user_id: UUID, body: Body) -> None:
        balance = body.get("balance")
        if not isinstance(balance, int):
            return  # A payment for something else than the wallet.
        await self._wallet_changed(user_id, {**body, "reason": "topup"})

    async def _notification(self, user_id: UUID, body: Body) -> None:
        self._tell(user_id, msgspec.convert(body, Notification))

    async def _notifications(self, _user_id: UUID, body: Body) -> None:
        for told in msgspec.convert(body, _Many).items:
            self._tell(told.user_id, told.notification)

    async def _wallet_changed(self, user_id: UUID, body: Body) -> None:
        bonus = body.get("bonusAccount")
        await self._funded(user_id, bonus if isinstance(bonus, int) else None)
        self._tell(user_id, msgspec.convert(body, WalletUpdated))
