"""Stripe as it is on the wire: forms in, JSON out, keys remembered, events signed."""

from __future__ import annotations

import hmac
from hashlib import sha256
from typing import Any

import msgspec
from aiohttp import web

from storage.ids import new_id
from tests.rest.payments.gateways.fake_server import FakeServer

KEY = "sk_test_fake_key_of_the_tests"
PUBLISHABLE_KEY = "pk_test_fake_key_of_the_tests"
WEBHOOK_SECRET = "whsec_first_secret_of_the_tests"
NEXT_WEBHOOK_SECRET = "whsec_next_secret_of_the_tests"
SMALLEST = 50


def sign(raw: bytes, at_s: int, secret: str = WEBHOOK_SECRET) -> str:
    """As Stripe signs, with the older scheme beside it that its test mode sends."""
    digest = hmac.new(secret.encode(), b"%d.%b" % (at_s, raw), sha256).hexdigest()
    return f"t={at_s},v1={digest},v0={'0' * 64}"


class FakeStripe(FakeServer):
    """`intents` and `refunds` are its books; tests write in them as payers would."""

    def __init__(self) -> None:
        super().__init__()
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: list[dict[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self._kept: dict[str, tuple[dict[str, str], dict[str, Any]]] = {}

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/payment_intents", self._create),
            web.get("/v1/payment_intents/{id}", self._retrieve),
            web.post("/v1/refunds", self._refund),
        ]

    def intent_of(self, reference: str) -> dict[str, Any]:
        found = [
            each for each in self.intents.values() if each["metadata"].get("reference") == reference
        ]
        return found[0] if found else self.make_intent(1000, "pts", {"reference": reference})

    def make_intent(self, amount: int, currency: str, metadata: dict[str, str]) -> dict[str, Any]:
        intent_id = f"pi_{new_id().hex}"
        intent: dict[str, Any] = {
            "id": intent_id,
            "object": "payment_intent",
            "amount": amount,
            "amount_received": 0,
            "currency": currency,
            "status": "requires_payment_method",
            "client_secret": f"{intent_id}_secret_{new_id().hex}",
            "last_payment_error": None,
            "metadata": metadata,
            "livemode": False,
        }
        self.intents[intent_id] = intent
        return intent

    def event(self, kind: str, thing: dict[str, Any], event_id: str | None = None) -> bytes:
        event = {
            "id": event_id or f"evt_{new_id().hex}",
            "object": "event",
            "api_version": "2026-10-28.endive",
            "type": kind,
            "data": {"object": thing},
            "livemode": False,
        }
        return msgspec.json.format(msgspec.json.encode(event), indent=2)

    async def _create(self, request: web.Request) -> web.Response:
        form, kept = await self._form(request)
        if kept is not None:
            return kept
        if int(form["amount"]) < SMALLEST:
            return _error(400, "invalid_request_error", "amount_too_small")
        metadata = {"reference": form["metadata[reference]"]}
        intent = self.make_intent(int(form["amount"]), form["currency"], metadata)
        assert form["automatic_payment_methods[enabled]"] == "true"
        return self._keep(request, form, intent)

    async def _retrieve(self, request: web.Request) -> web.Response:
        intent = self.intents.get(request.match_info["id"])
        if intent is None:
            return _error(404, "invalid_request_error", "resource_missing")
        return web.json_response({**intent, "latest_charge": self._charge_of(request, intent)})

    def _charge_of(self, request: web.Request, intent: dict[str, Any]) -> object:
        """An id, or the whole charge for those who ask for it."""
        if intent["status"] != "succeeded":
            return None
        charge_id = intent["id"].replace("pi_", "ch_")
        if "latest_charge" not in request.query.values():
            return charge_id
        back = sum(int(e["amount"]) for e in self.refunds if e["payment_intent"] == intent["id"])
        return {
            "id": charge_id,
            "object": "charge",
            "amount": intent["amount"],
            "amount_refunded": back,
            "refunded": back == intent["amount"],
        }

    async def _refund(self, request: web.Request) -> web.Response:
        form, kept = await self._form(request)
        if kept is not None:
            return kept
        intent = self.intents.get(form["payment_intent"])
        if intent is None:
            return _error(404, "invalid_request_error", "resource_missing")
        if intent["status"] != "succeeded":
            return _error(402, "card_error", "Not For_Clients!")
        sent = sum(int(e["amount"]) for e in self.refunds if e["payment_intent"] == intent["id"])
        if sent >= intent["amount_received"]:
            return _error(400, "invalid_request_error", "charge_already_refunded")
        self.refunds.append(form)
        return self._keep(request, form, {"id": f"re_{new_id().hex}", "object": "refund"})

    async def _form(self, request: web.Request) -> tuple[dict[str, str], web.Response | None]:
        self.headers.append(dict(request.headers))
        form = {name: str(value) for name, value in (await request.post()).items()}
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return form, _error(401, "invalid_request_error", "api_key_invalid")
        kept = self._kept.get(request.headers["Idempotency-Key"])
        if kept is None:
            return form, None
        if kept[0] != form:
            return form, _error(400, "idempotency_error", "idempotency_key_in_use")
        return form, web.json_response(kept[1])

    def _keep(
        self, request: web.Request, form: dict[str, str], answer: dict[str, Any]
    ) -> web.Response:
        self._kept[request.headers["Idempotency-Key"]] = (form, answer)
        return web.json_response(answer)


def _error(status: int, kind: str, code: str) -> web.Response:
    error = {"type": kind, "code": code, "message": "What Stripe says of it."}
    return web.json_response({"error": error}, status=status)
