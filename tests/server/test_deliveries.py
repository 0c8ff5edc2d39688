from __future__ import annotations

import logging
from uuid import UUID

import msgspec
import pytest

from server.deliveries import Deliveries
from signalling.events import Event, Notification, WalletUpdated
from storage import notifications, settlement, wallet
from storage.ids import new_id

USER, ROW, CALL = new_id(), new_id(), new_id()


class Ears:
    def __init__(self) -> None:
        self.told: list[tuple[UUID, Event]] = []
        self.funded: list[tuple[UUID, int | None]] = []
        self.deliveries = Deliveries(
            tell=lambda user_id, event: self.told.append((user_id, event)),
            funded=self.fund,
        )

    async def fund(self, user_id: UUID, bonus: int | None) -> None:
        self.funded.append((user_id, bonus))

    async def hear(self, topic: str, **body: object) -> Event | None:
        """What the devices are told."""
        await self.deliveries.deliver(topic, USER, body)
        return self.told[-1][1] if self.told else None


@pytest.fixture
def ears() -> Ears:
    return Ears()


async def test_a_top_up_is_told_with_the_balance_and_a_live_call_looks_at_it(ears: Ears) -> None:
    body = {"paymentId": str(new_id()), "amount": 500, "currency": "PTS", "balance": 1_500}
    heard = await ears.hear(settlement.COMPLETED_TOPIC, **body)
    assert heard == WalletUpdated(currency="PTS", reason="topup", balance=1_500)
    assert ears.told[0][0] == USER
    assert ears.funded == [(USER, None)]


async def test_a_payment_for_something_else_changes_no_wallet(ears: Ears) -> None:
    assert await ears.hear(settlement.COMPLETED_TOPIC, currency="PTS") is None
    assert ears.funded == []


async def test_another_movement_is_told_with_its_reason(ears: Ears) -> None:
    heard = await ears.hear(wallet.CHANGED_TOPIC, currency="PTS", reason="adjustment", balance=7)
    assert heard == WalletUpdated(currency="PTS", reason="adjustment", balance=7)
    assert ears.funded == [(USER, None)]


async def test_a_live_call_hears_where_its_bonus_is(ears: Ears) -> None:
    await ears.hear(
        wallet.CHANGED_TOPIC, currency="PTS", reason="topup", balance=7, bonusAccount=12
    )
    assert ears.funded == [(USER, 12)]


async def test_a_row_of_the_inbox_is_told_as_it_stands(ears: Ears) -> None:
    heard = await ears.hear(
        notifications.TOPIC,
        id=str(ROW),
        type="MISSED_CALL",
        message="You missed a call from Mia.",
        relatedEntityType="call",
        relatedEntityId=str(CALL),
        createdAt=1_800_000_000_000,
    )
    assert heard == Notification(
        id=ROW,
        type="MISSED_CALL",
        message="You missed a call from Mia.",
        related_entity_type="call",
        related_entity_id=CALL,
        created_at=1_800_000_000_000,
    )


async def test_rows_that_share_a_promise_are_told_to_their_own_users(ears: Ears) -> None:
    other = new_id()
    items = [
        {
            "userId": str(user_id),
            "notification": {
                "id": str(ROW),
                "type": "MISSED_CALL",
                "message": message,
                "relatedEntityType": None,
                "relatedEntityId": None,
                "createdAt": 7,
            },
        }
        for user_id, message in ((USER, "one"), (other, "two"))
    ]
    await ears.hear(notifications.MANY_TOPIC, items=items)
    heard = [
        (user_id, event.message) for user_id, event in ears.told if isinstance(event, Notification)
    ]
    assert heard == [(USER, "one"), (other, "two")]


@pytest.mark.parametrize(
    "topic", [notifications.TOPIC, notifications.MANY_TOPIC, wallet.CHANGED_TOPIC]
)
async def test_a_body_that_its_topic_does_not_promise_is_a_fault_of_ours(
    ears: Ears, topic: str
) -> None:
    with pytest.raises(msgspec.ValidationError):
        await ears.hear(topic, weather="fine")


async def test_a_topic_nobody_knows_is_reported(
    ears: Ears, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        assert await ears.hear("weather", balance=1) is None
    assert "an outbox topic nobody knows" in caplog.text
