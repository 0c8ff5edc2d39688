"""Monnify as it is on the wire: a login, envelopes, decimals of major units, signed events."""

from __future__ import annotations

import hmac
from base64 import b64encode
from hashlib import sha512
from typing import Any

import msgspec
from aiohttp import web

from storage.ids import new_id
from tests.rest.payments.gateways.fake_server import FakeServer

API_KEY = "MK_TEST_FAKEKEYOFTESTS"
SECRET_KEY = "FAKESECRETKEYOFTHETESTSFAKESECRE"
CONTRACT_CODE = "1234567890"


def sign(raw: bytes, secret: str = SECRET_KEY) -> str:
    return hmac.new(secret.encode(), raw, sha512).hexdigest()


class FakeMonnify(FakeServer):
    """`transactions` are its books by our reference; tests write in them as payers would.

    `tokens_live_s` is what it says of its tokens, `token` the only one it takes. With `confused`
    it answers every question with that transaction.
    """

    def __init__(self) -> None:
        super().__init__()
        self.transactions: dict[str, dict[str, Any]] = {}
        self.orders: list[bytes] = []
        self.refunds: dict[str, dict[str, Any]] = {}
        self.refund_status = "IN_PROGRESS"
        self.logins = 0
        self.token = ""
        self.tokens_live_s = 3567
        self.checkout_scheme = "http"
        self.confused: dict[str, Any] | None = None

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v1/auth/login", self._login),
            web.post("/api/v1/merchant/transactions/init-transaction", self._open),
            web.get("/api/v2/merchant/transactions/query", self._query),
            web.post("/api/v1/refunds/initiate-refund", self._refund),
            web.get("/api/v1/refunds/{reference}", self._refund_status),
        ]

    def transaction(self, reference: str) -> dict[str, Any]:
        """The one under our reference; made if there is none, as for another shop."""
        return self.transactions.setdefault(
            reference,
            {
                "transactionReference": f"MNFY|20|20260101000000|{new_id().hex[-12:]}",
                "paymentReference": reference,
                "paymentStatus": "PENDING",
                "amountPaid": "0.00",
                "totalPayable": "10.00",
                "paidOn": "17/11/2021 3:48:10 PM",
                "currency": "PTS",
            },
        )

    def event(
        self,
        reference: str,
        kind: str = "SUCCESSFUL_TRANSACTION",
        mark: str = "",
        back: str | None = None,
    ) -> bytes:
        """`mark` makes the same news another event; `back` is what of it was refunded."""
        data = {**self.transaction(reference), "paymentDescription": mark, "metaData": {}}
        if kind.endswith("_REFUND"):
            del data["paymentReference"]
            data["refundAmount"] = data["amountPaid"] if back is None else back
        return msgspec.json.encode({"eventData": data, "eventType": kind})

    async def _login(self, request: web.Request) -> web.Response:
        self.logins += 1
        basic = b64encode(f"{API_KEY}:{SECRET_KEY}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {basic}":
            return _refused(401, "Invalid credentials")
        self.token = new_id().hex
        return _answer({"accessToken": self.token, "expiresIn": self.tokens_live_s})

    async def _open(self, request: web.Request) -> web.Response:
        self._check(request)
        raw = await request.read()
        self.orders.append(raw)
        order = msgspec.json.decode(raw)
        if order["contractCode"] != CONTRACT_CODE or order["paymentReference"] in self.transactions:
            return _refused(422, "Duplicate payment reference")
        transaction = self.transaction(order["paymentReference"])
        transaction["currency"] = order["currencyCode"]
        return _answer(
            {
                "transactionReference": transaction["transactionReference"],
                "paymentReference": order["paymentReference"],
                "checkoutUrl": f"{self.checkout_scheme}://sandbox.sdk.monnify.com/checkout/x",
            }
        )

    async def _query(self, request: web.Request) -> web.Response:
        self._check(request)
        wanted = dict(request.query)
        assert len(wanted) == 1
        if self.confused is not None:
            return _answer(self.confused)
        for each in self.transactions.values():
            if wanted.items() <= each.items():
                return _answer(each)
        return _refused(404, "There is no such transaction")

    async def _refund(self, request: web.Request) -> web.Response:
        self._check(request)
        refund = msgspec.json.decode(await request.read())
        transactions = self.transactions.values()
        if refund["refundReference"] in self.refunds or not any(
            each["transactionReference"] == refund["transactionReference"]
            and each["paymentStatus"] == "PAID"
            for each in transactions
        ):
            return _refused(400, "This cannot be refunded")
        self.refunds[refund["refundReference"]] = {**refund, "refundStatus": self.refund_status}
        return _answer(self.refunds[refund["refundReference"]])

    async def _refund_status(self, request: web.Request) -> web.Response:
        self._check(request)
        found = self.refunds.get(request.match_info["reference"])
        return _refused(404, "There is no such refund") if found is None else _answer(found)

    def _check(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            raise web.HTTPUnauthorized(text='{"error":"invalid_token"}')


def _answer(body: dict[str, Any]) -> web.Response:
    return web.json_response(
        {
            "requestSuccessful": True,
            "responseMessage": "success",
            "responseCode": "0",
            "responseBody": body,
        }
    )


def _refused(status: int, message: str) -> web.Response:
    body = {"requestSuccessful": False, "responseMessage": message, "responseCode": "99"}
    return web.json_response(body, status=status)
