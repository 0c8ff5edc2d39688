"""A payment and a plan as their answers show them."""

from __future__ import annotations

from rest.payments.bodies import PaymentView, PlanView
from storage.payments import Payment
from storage.plans import Plan


def payment_view(payment: Payment) -> PaymentView:
    return PaymentView(
        id=payment.id,
        reference=payment.reference,
        amount=payment.amount_minor,
        currency=payment.currency,
        status=payment.status,
        method=payment.gateway,
        purpose=payment.purpose,
        target_id=payment.target_id,
        plan_id=payment.plan_id,
        wallet=payment.wallet,
        description=payment.description,
        checkout_url=payment.checkout_url,
        created_at=payment.created_at,
        completed_at=payment.completed_at,
    )


def plan_view(plan: Plan, currency: str) -> PlanView:
    return PlanView(
        plan_id=plan.id,
        title=plan.title,
        price=plan.price_minor,
        points=plan.points_minor,
        bonus_points=plan.bonus_minor,
        bonus_days=plan.bonus_days,
        description=plan.description,
        currency=currency,
    )
