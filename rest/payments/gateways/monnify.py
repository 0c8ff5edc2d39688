"""Monnify: the payer pays at its checkout page. Its amounts are decimals of major units.

Its webhooks carry neither a time nor a number, so a signature proves no more than that an event was
true once: `confirm` asks for the state of the payment, and nothing is believed of the event but
which payment it is about. The contract must let the merchant bear the fees; a payer who is charged
them pays another sum than was asked for, and that is not credited.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256, sha512
from typing import Annotated, TypeVar
from urllib.parse import quote, urlsplit

import msgspec
import structlog
from msgspec import Meta

from rest.http.signature import Forged
from rest.payments.gateways.amounts import to_major, to_minor
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

API_URL = "https://api.monnify.com"
# A token is renewed so long before its end.
TOKEN_MARGIN_S = 60
OPEN = GatewayStatus("open", 0, "")

_STATUSES: dict[str, Found] = {
    "PENDING": "open",
    "PAID": "paid",
    "OVERPAID": "mispaid",
    "PARTIALLY_PAID": "mispaid",
    "FAILED": "failed",
    "EXPIRED": "failed",
    "ABANDONED": "cancelled",
    "CANCELLED": "cancelled",
    "REVERSED": "refunded",
}
_PAID = "SUCCESSFUL_TRANSACTION"
_REFUNDS: dict[str, Found] = {"SUCCESSFUL_REFUND": "refunded", "FAILED_REFUND": "refund_failed"}

_our_reference = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_signature = re.compile(r"[0-9a-f]{128}", re.ASCII)
_encode = msgspec.json.Encoder(decimal_format="number").encode
_log = structlog.get_logger(__name__)

Name = Annotated[str, Meta(pattern=r"^[\x21-\x7e]{1,200}$")]


class _Wire(msgspec.Struct, frozen=True, rename="camel"):
    pass


class _Envelope(_Wire, frozen=True):
    request_successful: bool
    response_body: msgspec.Raw = msgspec.Raw(b"null")


class _Login(_Wire, frozen=True):
    access_token: Name
    expires_in: Annotated[int, Meta(ge=1, le=86_400)]


class _Opened(_Wire, frozen=True):
    transaction_reference: Name
    checkout_url: Annotated[str, Meta(max_length=2_000)]


class _Transaction(_Wire, frozen=True):
    transaction_reference: Name
    payment_reference: str
    payment_status: str
    amount_paid: msgspec.Raw
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]


class _Refund(_Wire, frozen=True):
    refund_status: str


class _EventData(_Wire, frozen=True):
    payment_reference: str = ""
    transaction_reference: Name | None = None
    # Of a refund. It may be a part, and the signature covers it.
    refund_amount: msgspec.Raw = msgspec.Raw(b"0")


class _Event(_Wire, frozen=True):
    event_type: Annotated[str, Meta(pattern=r"^[A-Za-z_]{1,100}$")]
    event_data: msgspec.Raw


T = TypeVar("T")


class MonnifyGateway:
    """`public_url` gives the base URL of the server: payers come back to it. `clock` gives Unix ms.

    `exponent` is the number of decimals of the deployment's currency.
    """

    name = "monnify"
    signature_header = "monnify-signature"

    def __init__(
        self,
        api_key: str,
        secret_key: str,
        *,
        contract_code: str,
        exponent: int,
        public_url: Callable[[], str],
        clock: Callable[[], int],
        api_url: str = API_URL,
    ) -> None:
        self._basic = f"Basic {b64encode(f'{api_key}:{secret_key}'.encode()).decode()}"
        self._secret = secret_key.encode()
        self._contract_code = contract_code
        self._exponent = exponent
        self._public_url = public_url
        self._clock = clock
        self._api_url = api_url.rstrip("/")
        self._line = Line()
        self._login_lock = asyncio.Lock()
        self._token = ""
        self._token_ends_ms = 0

    async def create(self, order: Order) -> Checkout:
        home = self._public_url()
        opened = await self._ask(
            "POST",
            "/api/v1/merchant/transactions/init-transaction",
            _Opened,
            body={
                "amount": to_major(order.amount_minor, self._exponent),
                "currencyCode": order.currency,
                "contractCode": self._contract_code,
                "paymentReference": order.reference,
                "paymentDescription": order.description or "Top-up",
                "redirectUrl": home,
                "customerName": order.payer_name or "Customer",
                # It wants an address; who has none gets one here, where nobody reads.
                "customerEmail": order.payer_email
                or f"{order.reference}@{urlsplit(home).hostname}",
            },
        )
        # The payer is sent there: no plain HTTP, and no scheme that runs in the page.
        scheme = urlsplit(self._api_url).scheme
        if not opened.checkout_url.startswith(f"{scheme}://"):
            raise GatewayDown("a checkout that is no web page")
        return Checkout(opened.transaction_reference, opened.checkout_url)

    def parse_webhook(self, headers: Mapping[str, str], raw: bytes, now_s: int) -> GatewayEvent:
        given = headers.get(self.signature_header, "")
        expected = hmac.new(self._secret, raw, sha512).hexdigest()
        if not _signature.fullmatch(given) or not hmac.compare_digest(expected, given):
            raise Forged
        # Events have no number of their own; a repeated delivery has the same bytes.
        event_id = sha256(raw).hexdigest()
        try:
            event = msgspec.json.decode(raw, type=_Event)
            data = _EventData()
            if event.event_type == _PAID or event.event_type in _REFUNDS:
                data = msgspec.json.decode(event.event_data, type=_EventData)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Forged from None
        ours = _our_reference.fullmatch(data.payment_reference)
        reference = data.payment_reference if ours else ""
        status = OPEN
        if event.event_type in _REFUNDS:
            try:
                amount_minor = to_minor(data.refund_amount, self._exponent)
            except ValueError:
                raise Forged from None
            status = GatewayStatus(_REFUNDS[event.event_type], amount_minor, "")
        return GatewayEvent(
            event_id, event.event_type, reference, status, data.transaction_reference
        )

    async def confirm(self, event: GatewayEvent) -> GatewayEvent:
        if event.kind == _PAID and event.reference:
            found = await self._transaction("paymentReference", event.reference)
            status = self._status(found)
            if status.found == "open":
                raise GatewayDown("an event that is ahead of its payment")
            return msgspec.structs.replace(event, status=status)
        if event.kind in _REFUNDS and event.ref is not None:
            found = await self._transaction("transactionReference", event.ref)
            if _our_reference.fullmatch(found.payment_reference):
                status = msgspec.structs.replace(event.status, currency=found.currency)
                return msgspec.structs.replace(
                    event, reference=found.payment_reference, status=status
                )
        return msgspec.structs.replace(event, status=OPEN)

    async def query(self, ref: str) -> GatewayStatus:
        return self._status(await self._transaction("transactionReference", ref))

    async def refund(self, ref: str, amount_minor: int, currency: str, key: str) -> None:
        try:
            made = await self._ask(
                "POST",
                "/api/v1/refunds/initiate-refund",
                _Refund,
                body={
                    "transactionReference": ref,
                    "refundReference": key,
                    "refundAmount": to_major(amount_minor, self._exponent),
                    "refundReason": "Refund",
                    "customerNote": "Refund",
                },
            )
        except GatewayRefused:
            # It refuses a reference it has seen: then the refund stands, and that is what we want.
            made = await self._ask("GET", f"/api/v1/refunds/{quote(key, safe='')}", _Refund)
        if made.refund_status == "FAILED":
            raise GatewayRefused("failed")

    async def close(self) -> None:
        await self._line.close()

    async def _transaction(self, name: str, reference: str) -> _Transaction:
        path = "/api/v2/merchant/transactions/query"
        found = await self._ask("GET", path, _Transaction, params={name: reference})
        if reference not in (found.payment_reference, found.transaction_reference):
            raise GatewayDown("an answer about another payment")
        return found

    def _status(self, found: _Transaction) -> GatewayStatus:
        try:
            amount_minor = to_minor(found.amount_paid, self._exponent)
            return GatewayStatus(_STATUSES[found.payment_status], amount_minor, found.currency)
        except (ValueError, KeyError):
            raise GatewayDown("an amount or a status that nobody knows") from None

    async def _ask(
        self,
        method: str,
        path: str,
        shape: type[T],
        *,
        body: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> T:
        """The `responseBody` of an authorised request. A token that ended early is renewed once."""
        token = await self._authorise()
        raw, status = await self._send(method, path, f"Bearer {token}", body, params)
        if status == 401:
            if self._token == token:
                self._token = ""
            token = await self._authorise()
            raw, status = await self._send(method, path, f"Bearer {token}", body, params)
        return _read(raw, status, shape)

    async def _authorise(self) -> str:
        async with self._login_lock:
            if not self._token or self._clock() >= self._token_ends_ms:
                raw, status = await self._send("POST", "/api/v1/auth/login", self._basic)
                try:
                    login = _read(raw, status, _Login)
                except GatewayRefused:
                    raise GatewayDown("the login was refused") from None
                self._token = login.access_token
                lives_s = max(0, login.expires_in - TOKEN_MARGIN_S)
                self._token_ends_ms = self._clock() + lives_s * 1000
            return self._token

    async def _send(
        self,
        method: str,
        path: str,
        authorization: str,
        body: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> tuple[bytes, int]:
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        data = None if body is None else _encode(body)
        raw, status, _ = await self._line.exchange(
            method, self._api_url + path, headers=headers, data=data, params=params
        )
        return raw, status


def _read(raw: bytes, status: int, shape: type[T]) -> T:
    if status in (401, 403):
        _log.error("gateway_refuses_our_key", gateway="monnify", status=status)
    if status in (401, 403, 408, 429) or not (status < 300 or 400 <= status < 500):
        raise GatewayDown(f"status {status}")
    try:
        envelope = msgspec.json.decode(raw, type=_Envelope)
        if status >= 400 or not envelope.request_successful:
            raise GatewayRefused("refused")
        return msgspec.json.decode(envelope.response_body, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise GatewayDown("an answer of another shape") from None
