"""Stripe: the payer pays in the app, with the client secret of a PaymentIntent.

Importing this file costs half a second and 34 MiB for the SDK, so only those import it who have
Stripe switched on. Amounts are in Stripe's smallest unit, which is ours: see `amounts.py`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
import stripe
import structlog
from msgspec import Meta
from stripe.params import PaymentIntentCreateParams

from rest.http.signature import HEADER_CHARS_MAX, TOLERANCE_S, Forged
from rest.payments.gateways.port import (
    Checkout,
    Found,
    GatewayDown,
    GatewayEvent,
    GatewayRefused,
    GatewayStatus,
    Order,
)
from rest.payments.gateways.wire import Line

API_URL = "https://api.stripe.com"
# The shapes below are those of this version, whatever the SDK's own or the account's may be.
API_VERSION = "2026-10-28.endive"
RETRIES = 1

_INTENT_EVENTS: dict[str, Found] = {
    "payment_intent.succeeded": "paid",
    "payment_intent.payment_failed": "failed",
    "payment_intent.canceled": "cancelled",
    "payment_intent.processing": "open",
}
# About money that had come before.
_LATER_EVENTS: dict[str, Found] = {
    "charge.refunded": "refunded",
    "charge.dispute.created": "disputed",
    "refund.failed": "refund_failed",
}

_our_reference = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_signed_at = re.compile(r"t=([1-9][0-9]{0,11}),[\x21-\x7e]+", re.ASCII)
_reason = re.compile(r"[a-z0-9_]{1,60}", re.ASCII)
_log = structlog.get_logger(__name__)

Id = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]{1,200}$")]
Currency = Annotated[str, Meta(pattern=r"^[a-z]{3}$")]
Amount = Annotated[int, Meta(ge=0, le=10**12)]


class _Metadata(msgspec.Struct, frozen=True):
    reference: str = ""


class _Charge(msgspec.Struct, frozen=True):
    amount_refunded: Amount = 0


class _Intent(msgspec.Struct, frozen=True):
    id: Id
    amount: Amount
    currency: Currency
    status: str
    amount_received: Amount = 0
    metadata: _Metadata = _Metadata()
    client_secret: str | None = None
    last_payment_error: dict[str, Any] | None = None
    # Its id, or the charge itself where we asked for that.
    latest_charge: _Charge | str | None = None


class _Later(msgspec.Struct, frozen=True):
    """A charge, a dispute or a refund."""

    amount: Amount
    currency: Currency
    payment_intent: Id | None = None
    amount_refunded: Amount | None = None


class _Data(msgspec.Struct, frozen=True):
    object: msgspec.Raw


class _Event(msgspec.Struct, frozen=True):
    id: Id
    type: Annotated[str, Meta(max_length=100, pattern=r"^[a-z0-9_.]+$")]
    data: _Data


class StripeGateway:
    """`webhook_secrets` are those of the endpoint: two while they are rotated."""

    name = "stripe"
    signature_header = "Stripe-Signature"

    def __init__(
        self,
        secret_key: str,
        *,
        publishable_key: str,
        webhook_secrets: Sequence[str],
        api_url: str = API_URL,
    ) -> None:
        stripe.enable_telemetry = False  # It would read and write files of the machine.
        self._publishable_key = publishable_key
        self._webhook_secrets = tuple(webhook_secrets)
        self._http = _BoundedClient()
        self._client = stripe.StripeClient(
            secret_key,
            stripe_version=API_VERSION,
            base_addresses={"api": api_url.rstrip("/")},
            http_client=self._http,
            max_network_retries=RETRIES,
        )

    async def create(self, order: Order) -> Checkout:
        asked: PaymentIntentCreateParams = {
            "amount": order.amount_minor,
            "currency": order.currency.lower(),
            "automatic_payment_methods": {"enabled": True},
            "metadata": {"reference": order.reference},
        }
        if order.description:
            asked["description"] = order.description
        create = self._client.v1.payment_intents.create_async
        intent = _intent(await _answered(create(asked, {"idempotency_key": order.reference})))
        if not intent.client_secret:
            raise GatewayDown("an intent without its secret")
        return Checkout(
            intent.id, client_secret=intent.client_secret, publishable_key=self._publishable_key
        )

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, now_s: int) -> GatewayEvent:
        self._check(headers.get(self.signature_header), raw, now_s)
        try:
            event = msgspec.json.decode(raw, type=_Event)
            if event.type in _INTENT_EVENTS:
                intent = msgspec.json.decode(event.data.object, type=_Intent)
                if not _our_reference.fullmatch(intent.metadata.reference):
                    return _about_nothing(event)  # Something else sold by the same account.
                status = _status(intent, _INTENT_EVENTS[event.type])
                reference = intent.metadata.reference
                return GatewayEvent(event.id, event.type, reference, status, intent.id)
            if event.type in _LATER_EVENTS:
                later = msgspec.json.decode(event.data.object, type=_Later)
                amount = later.amount if later.amount_refunded is None else later.amount_refunded
                status = GatewayStatus(_LATER_EVENTS[event.type], amount, later.currency.upper())
                return GatewayEvent(event.id, event.type, "", status, later.payment_intent)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Forged from None
        return _about_nothing(event)

    def _check(self, header: str | None, raw: bytes, now_s: int) -> None:
        if header is None or len(header) > HEADER_CHARS_MAX:
            raise Forged
        at = _signed_at.fullmatch(header)
        # The SDK would measure the age by the machine's clock, and let any future time pass.
        if at is None or abs(now_s - int(at[1])) > TOLERANCE_S:
            raise Forged
        if not any(_is_signed(raw, header, secret) for secret in self._webhook_secrets):
            raise Forged

    async def confirm(self, event: GatewayEvent) -> GatewayEvent:
        """Later events name the intent alone; its metadata has our reference."""
        if event.reference or event.ref is None:
            return event
        intent = await self._retrieve(event.ref)
        if not _our_reference.fullmatch(intent.metadata.reference):
            return GatewayEvent(event.id, event.kind, "", GatewayStatus("open", 0, ""))
        return msgspec.structs.replace(event, reference=intent.metadata.reference)

    async def query(self, ref: str) -> GatewayStatus:
        intent = await self._retrieve(ref, expand=["latest_charge"])
        match intent.status:
            case "succeeded":
                return _received(intent)
            case "canceled":
                return _status(intent, "cancelled")
            case "requires_payment_method" if intent.last_payment_error is not None:
                return _status(intent, "failed")
        return _status(intent, "open")

    async def refund(self, ref: str, amount_minor: int, currency: str, key: str) -> None:
        try:
            await _answered(
                self._client.v1.refunds.create_async(
                    {"payment_intent": ref, "amount": amount_minor}, {"idempotency_key": key}
                )
            )
        except GatewayRefused as refused:
            # Stripe forgets a key after a day, but not that all the money went back.
            if str(refused) != "charge_already_refunded":
                raise

    async def close(self) -> None:
        await self._http.close_async()

    async def _retrieve(self, ref: str, *, expand: Sequence[str] = ()) -> _Intent:
        retrieve = self._client.v1.payment_intents.retrieve_async
        return _intent(await _answered(retrieve(ref, {"expand": list(expand)} if expand else {})))


class _BoundedClient(stripe.AIOHTTPClient):
    """The SDK's own client would follow redirects and read answers of any size."""

    def __init__(self) -> None:
        super().__init__()
        self._line = Line()

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            return await self._line.exchange(method, url, headers=headers, data=post_data)
        except GatewayDown as down:
            fault: stripe.StripeError = stripe.APIConnectionError(  # type: ignore[no-untyped-call]
                str(down), should_retry=True
            )
            raise fault from None

    async def close_async(self) -> None:
        await self._line.close()


async def _answered(asked: Awaitable[stripe.StripeObject]) -> dict[str, Any]:
    """The answer of the SDK, or its errors in our words."""
    try:
        return (await asked).to_dict()
    except (stripe.CardError, stripe.InvalidRequestError) as fault:
        code = str(fault.code)
        raise GatewayRefused(code if _reason.fullmatch(code) else "refused") from None
    except (stripe.AuthenticationError, stripe.PermissionError) as fault:
        _log.error("gateway_refuses_our_key", gateway="stripe", request=fault.request_id)
        raise GatewayDown(type(fault).__name__) from None
    # An answer that is JSON but not Stripe's ends in whatever the SDK trips over.
    except (stripe.StripeError, AttributeError, KeyError, TypeError, ValueError) as fault:
        raise GatewayDown(type(fault).__name__) from None


def _intent(answer: dict[str, Any]) -> _Intent:
    try:
        return msgspec.convert(answer, _Intent)
    except msgspec.ValidationError as fault:
        raise GatewayDown(f"not an intent: {fault}") from None


def _status(intent: _Intent, found: Found) -> GatewayStatus:
    return GatewayStatus(found, intent.amount_received, intent.currency.upper())


def _received(intent: _Intent) -> GatewayStatus:
    """An intent stays `succeeded` for good; whether its money went back, only the charge says."""
    back = intent.latest_charge.amount_refunded if isinstance(intent.latest_charge, _Charge) else 0
    if back == 0:
        return _status(intent, "paid")
    found: Found = "refunded" if back == intent.amount_received else "mispaid"
    return GatewayStatus(found, back, intent.currency.upper())


def _about_nothing(event: _Event) -> GatewayEvent:
    return GatewayEvent(event.id, event.type, "", GatewayStatus("open", 0, ""))


def _is_signed(raw: bytes, header: str, secret: str) -> bool:
    try:
        stripe.WebhookSignature.verify_header(raw, header, secret)
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False
    return True
