"""The REST side of an app: accounts, money, history. Amounts are minor units."""

import asyncio
from types import TracebackType
from typing import Any, TypeVar

import aiohttp
import msgspec

from signalling.client.envelope import Json

TIMEOUT_S = 15
PAID_WAIT_S = 10
PAID_POLL_S = 0.1

T = TypeVar("T")


class ApiError(Exception):
    """The server said no: HTTP status, public code, message, further public keys."""

    def __init__(self, status: int, code: str, message: str, details: Json) -> None:
        super().__init__(f"{code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.details = details


class Answer(msgspec.Struct, frozen=True, rename="camel"):
    """Base of answers; keys that are not named here are ignored."""


class User(Answer, frozen=True):
    id: str
    name: str
    email: str | None = None
    roles: list[str] = []


class Session(Answer, frozen=True):
    access_token: str
    refresh_token: str
    expires_in: int


class Balance(Answer, frozen=True):
    """`balance` includes what running calls have set aside (`held`); `available` may be spent."""

    balance: int
    available: int
    held: int
    currency: str


class Wallet(Answer, frozen=True):
    id: str
    type: str
    balance: int
    currency: str


class Payment(Answer, frozen=True):
    id: str
    reference: str
    amount: int
    status: str
    checkout_url: str | None = None


class Api:
    """`async with Api(url) as api:` then `login` or `signup`; later calls carry the token."""

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self.session: Session | None = None
        self._http: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> "Api":
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=TIMEOUT_S))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        fault: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._http is not None:
            await self._http.close()

    @property
    def token(self) -> str:
        """The access token, for the socket's hello."""
        if self.session is None:
            raise ApiError(401, "UNAUTHORIZED", "Log in first.", {})
        return self.session.access_token

    async def request(self, method: str, path: str, body: Json | None = None) -> Json:
        """One call; `path` may be a whole URL.

        Raises:
            ApiError: any answer that is not a success.
            ConnectionError: the server cannot be reached.
        """
        assert self._http is not None
        url = path if "://" in path else self.url + path
        headers = {"Authorization": f"Bearer {self.token}"} if self.session else {}
        try:
            async with self._http.request(method, url, json=body, headers=headers) as answer:
                raw = await answer.read()
        except (aiohttp.ClientConnectionError, TimeoutError) as fault:
            raise ConnectionError(f"No answer from {self.url}: {fault}") from None
        try:
            found: Json = msgspec.json.decode(raw, type=dict[str, Any])
        except msgspec.DecodeError:
            raise ApiError(answer.status, "UNREADABLE", "The answer is not JSON.", {}) from None
        if answer.status >= 400:
            details = found.get("details") or {}
            raise ApiError(answer.status, found.get("error", ""), found.get("message", ""), details)
        return found

    # -- accounts

    async def signup(self, name: str, email: str, password: str) -> User:
        body = {"name": name, "email": email, "password": password}
        return self._entered(await self.request("POST", "/auth/signup", body))

    async def login(self, email: str, password: str) -> User:
        body = {"email": email, "password": password}
        return self._entered(await self.request("POST", "/auth/login", body))

    async def refresh(self) -> str:
        """A new access token, which is returned; fits `Wire(refresh=api.refresh)`."""
        if self.session is None:
            raise ApiError(401, "UNAUTHORIZED", "Log in first.", {})
        body = {"refreshToken": self.session.refresh_token}
        self.session = convert(await self.request("POST", "/auth/refresh", body), Session)
        return self.session.access_token

    async def me(self) -> User:
        return convert((await self.request("GET", "/auth/me"))["user"], User)

    def _entered(self, answer: Json) -> User:
        self.session = convert(answer, Session)
        return convert(answer["user"], User)

    # -- providers

    async def save_profile(self, **profile: object) -> Json:
        """The caller's offer: `displayName`, `pricePerMinute`, `tariff` and so on."""
        return await self.request("PUT", "/otomo/profile", profile)

    async def providers(self, *, online: bool = False) -> list[Json]:
        path = "/otomo/list?limit=50" + ("&isOnline=true" if online else "")
        items: list[Json] = (await self.request("GET", path))["items"]
        return items

    # -- money

    async def balance(self) -> Balance:
        return convert(await self.request("GET", "/wallet/balance"), Balance)

    async def wallets(self) -> list[Wallet]:
        return convert((await self.request("GET", "/wallets"))["items"], list[Wallet])

    async def top_up(self, amount: int) -> Payment:
        """Buy credit from the sandbox gateway: pay at its checkout, wait until it is ours.

        Raises:
            ApiError: refused, or not settled within ten seconds.
        """
        body = {"amount": amount, "method": "sandbox", "purpose": "topup"}
        payment = convert((await self.request("POST", "/payments", body))["payment"], Payment)
        if payment.checkout_url is None:
            raise ApiError(502, "NO_CHECKOUT", "The payment has no checkout address.", {})
        await self.request("POST", payment.checkout_url, {"outcome": "pay"})
        async with asyncio.timeout(PAID_WAIT_S):
            while True:
                answer = await self.request("GET", f"/payments/{payment.id}")
                payment = convert(answer["payment"], Payment)
                if payment.status == "completed":
                    return payment
                if payment.status not in ("pending", "processing"):
                    raise ApiError(402, "PAYMENT_FAILED", f"It is {payment.status}.", {})
                await asyncio.sleep(PAID_POLL_S)

    # -- calls

    async def calls(self, limit: int = 20) -> list[Json]:
        items: list[Json] = (await self.request("GET", f"/calls?limit={limit}"))["calls"]
        return items

    async def call(self, call_id: str) -> Json:
        found: Json = (await self.request("GET", f"/calls/{call_id}"))["call"]
        return found

    async def billing(self, call_id: str) -> Json:
        """The receipt: `billingUnits` and totals, from the ledger."""
        return await self.request("GET", f"/calls/{call_id}/billing")


def convert(found: object, shape: type[T]) -> T:
    """An answer as its struct.

    Raises:
        ApiError: the server speaks another dialect.
    """
    try:
        return msgspec.convert(found, shape)
    except msgspec.ValidationError as fault:
        raise ApiError(502, "UNEXPECTED_ANSWER", str(fault), {}) from None
