from __future__ import annotations

from rest.payments.views import payment_view, plan_view
from storage import payments
from storage.ids import new_id
from storage.plans import Plan
from storage.pool import Connection
from tests.storage.paying import buy, make_plan, order
from tests.storage.world import make_user


async def test_a_payment_is_shown_with_its_plan_and_without_its_owner(conn: Connection) -> None:
    user, plan = await make_user(conn), await make_plan(conn)

    shown = payment_view(await buy(conn, user.id, plan))

    assert (shown.amount, shown.currency, shown.status) == (1000, "PTS", "completed")
    assert (shown.plan_id, shown.target_id, shown.wallet) == (plan.id, None, "call_credits")
    assert (shown.method, shown.checkout_url) == ("sandbox", "http://x/")
    assert not hasattr(shown, "user_id")
    waiting = await payments.read(conn, user.id, (await order(conn, user.id)).id)
    assert waiting is not None
    assert payment_view(waiting).completed_at is None


def test_a_plan_is_shown_in_the_currency_of_the_house() -> None:
    plan = Plan(id=new_id(), title="A", price_minor=5, points_minor=6, bonus_minor=7, bonus_days=8)

    shown = plan_view(plan, "EUR")

    assert (shown.price, shown.points, shown.bonus_points, shown.bonus_days) == (5, 6, 7, 8)
    assert shown.currency == "EUR"
