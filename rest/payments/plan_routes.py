"""Plans: what anybody can buy, and their upkeep by operators."""

from __future__ import annotations

from uuid import UUID, uuid5

import msgspec
from aiohttp import web
from msgspec import UNSET

from rest.http.body import read_body
from rest.http.errors import Fault
from rest.http.idempotency import ERRORS as KEY_ERRORS
from rest.http.idempotency import Idempotency, key_of
from rest.http.identity import caller
from rest.http.reply import Done, reply
from rest.http.route import Route, path_id
from rest.payments.bodies import PlanAnswer, PlanBody, PlanChange, PlanList
from rest.payments.opening import PLAN_NOT_FOUND
from rest.payments.views import plan_view
from storage import audit, plans
from storage.deadline import Deadline
from storage.ids import new_id
from storage.plans import Plan
from storage.pool import Connection, Pool

DEADLINE = Deadline(4.0)
LISTED_MAX = 100

INVALID_POINTS = Fault(400, "INVALID_POINTS", "A plan gives at least its price in points.")


class PlanRoutes:
    def __init__(self, pool: Pool, *, idempotency: Idempotency, currency: str) -> None:
        """`currency` is the deployment's: the one plans are priced in."""
        self._pool = pool
        self._idempotency = idempotency
        self._currency = currency

    def table(self) -> list[Route]:
        return [
            Route(
                "GET",
                "/wallet/plans",
                self.listed,
                summary="What can be bought, cheapest first",
                returns=PlanList,
                tag="wallet",
                auth=False,
            ),
            Route(
                "POST",
                "/wallet/plans",
                self.create,
                summary="Offer a new plan",
                returns=PlanAnswer,
                body=PlanBody,
                tag="wallet",
                status=201,
                roles=("admin",),
                errors=(INVALID_POINTS, *KEY_ERRORS),
            ),
            Route(
                "PATCH",
                "/wallet/plans/{id}",
                self.change,
                summary="Change a plan, or offer it again",
                returns=PlanAnswer,
                body=PlanChange,
                tag="wallet",
                roles=("admin",),
                errors=(PLAN_NOT_FOUND, INVALID_POINTS),
            ),
            Route(
                "DELETE",
                "/wallet/plans/{id}",
                self.retire,
                summary="Offer a plan no longer; what was bought stays",
                returns=Done,
                tag="wallet",
                roles=("admin",),
                errors=(PLAN_NOT_FOUND,),
            ),
        ]

    async def listed(self, _: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn:
            found = await plans.list_active(conn, limit=LISTED_MAX)
        return reply(PlanList(items=[plan_view(plan, self._currency) for plan in found]))

    async def create(self, request: web.Request) -> web.Response:
        body = await read_body(request, PlanBody)
        me, key = caller(request).user_id, key_of(request)
        plan = Plan(
            id=new_id() if key is None else uuid5(me, key),
            title=body.title,
            price_minor=body.price,
            points_minor=body.points,
            bonus_minor=body.bonus_points,
            bonus_days=body.bonus_days,
            description=body.description,
            sort=body.sort,
        )

        async def work() -> web.Response:
            async with (
                DEADLINE(),
                self._pool.acquire() as conn,
                conn.transaction(),
            ):
                await self._save(conn, plan, request, "plan_created")
            return reply(self._answer(plan), 201)

        return await self._idempotency.once(request, body, work)

    async def change(self, request: web.Request) -> web.Response:
        body = await read_body(request, PlanChange)
        async with DEADLINE(), self._pool.acquire() as conn, conn.transaction():
            plan = changed(await self._lock(conn, path_id(request)), body)
            await self._save(conn, plan, request, "plan_changed")
        return reply(self._answer(plan))

    async def retire(self, request: web.Request) -> web.Response:
        async with DEADLINE(), self._pool.acquire() as conn, conn.transaction():
            plan = await self._lock(conn, path_id(request))
            retired = msgspec.structs.replace(plan, active=False)
            await self._save(conn, retired, request, "plan_retired")
        return reply(Done())

    async def _lock(self, conn: Connection, plan_id: UUID) -> Plan:
        plan = await plans.lock(conn, plan_id)
        if plan is None:
            raise PLAN_NOT_FOUND.problem()
        return plan

    async def _save(self, conn: Connection, plan: Plan, request: web.Request, action: str) -> None:
        if plan.points_minor < plan.price_minor:
            raise INVALID_POINTS.problem(field="points")
        await plans.save(conn, plan)
        await audit.record(
            conn,
            actor=caller(request).user_id,
            action=action,
            target_type="plan",
            target_id=plan.id,
            reason="",
            details=msgspec.to_builtins(plan),
        )

    def _answer(self, plan: Plan) -> PlanAnswer:
        return PlanAnswer(plan=plan_view(plan, self._currency), active=plan.active)


def changed(plan: Plan, body: PlanChange) -> Plan:
    """The plan with what the body gives."""
    given = {
        "title": body.title,
        "price_minor": body.price,
        "points_minor": body.points,
        "bonus_minor": body.bonus_points,
        "bonus_days": body.bonus_days,
        "description": body.description,
        "sort": body.sort,
        "active": body.active,
    }
    wanted = {name: value for name, value in given.items() if value is not UNSET}
    return msgspec.structs.replace(plan, **wanted)
