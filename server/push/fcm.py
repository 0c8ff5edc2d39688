"""Pushes to Android by FCM's HTTP v1 API: a data message of high priority.

See https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages. The operator's service
account is exchanged for an access token (RFC 7523), which is kept for as long as it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import urlencode

import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from server.push.port import SENT, Outcome, Said, payload
from server.push.tokens import google_assertion, read_rsa_key
from server.push.wire import NoAnswer, Wire
from signalling.push import Wake
from storage.devices import Registered

API_URL = "https://fcm.googleapis.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# A token is not used to its very end.
SPARE_MS = 60_000
LIFE_MAX_S = 3_600

_encode = msgspec.json.Encoder().encode


class ServiceAccount(msgspec.Struct, frozen=True):
    """What is read of the file that the Firebase console gives for a service account."""

    project_id: str
    private_key_id: str
    private_key: str
    client_email: str
    token_uri: str = "https://oauth2.googleapis.com/token"


class _Granted(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int


class _Detail(msgspec.Struct, frozen=True):
    error_code: str = msgspec.field(default="", name="errorCode")


class _Error(msgspec.Struct, frozen=True):
    status: str = ""
    details: list[_Detail] = []


class _Refusal(msgspec.Struct, frozen=True):
    error: _Error


def read_account(raw: bytes) -> tuple[ServiceAccount, RSAPrivateKey]:
    """
    Raises:
        ValueError: this is no service account; the message does not quote it.
    """
    try:
        account = msgspec.json.decode(raw, type=ServiceAccount)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ValueError("is not the JSON file of a service account") from None
    if not account.token_uri.startswith("https://"):
        raise ValueError("has a token_uri that is not https")
    if not account.project_id.replace("-", "").isalnum():
        raise ValueError("has an odd project_id")
    try:
        return account, read_rsa_key(account.private_key)
    except ValueError as fault:
        raise ValueError(f"has a private_key that {fault}") from None


class FcmPush:
    name = "fcm"

    def __init__(
        self,
        account: ServiceAccount,
        key: RSAPrivateKey,
        *,
        clock: Callable[[], int],
        wire: Wire,
        api_url: str = API_URL,
    ) -> None:
        """`clock` gives Unix ms."""
        self._account = account
        self._key = key
        self._clock = clock
        self._wire = wire
        self._url = f"{api_url}/v1/projects/{account.project_id}/messages:send"
        self._token = ""
        self._token_until_ms = 0
        # Many pushes at once need one token.
        self._asking = asyncio.Lock()

    async def send(self, wake: Wake, to: Registered, ttl_s: int) -> Said:
        data = {"type": "call"} | {name: str(value) for name, value in payload(wake).items()}
        android = {"priority": "HIGH", "ttl": f"{ttl_s}s"}
        body = _encode({"message": {"token": to.target, "data": data, "android": android}})
        try:
            token = await self._access_token()
            headers = {
                "Authorization": f"Bearer {token}",
                "Content-Type": "application/json",
            }
            answer = await self._wire.post(self._url, body, headers)
        except NoAnswer as fault:
            return Said(Outcome.BUSY, str(fault))
        if answer.is_sent:
            return SENT
        if answer.status == 401:
            self._drop(token)
            return Said(Outcome.BUSY, "status 401")
        if answer.is_busy:
            return answer.busy()
        status, code = _reason(answer.body)
        # A 404 alone may be about the project, which is no reason to forget a phone.
        if answer.status == 404 and code == "UNREGISTERED":
            return Said(Outcome.GONE)
        return Said(Outcome.REFUSED, f"status {answer.status} {status} {code}".strip())

    async def close(self) -> None:
        await self._wire.close()

    async def _access_token(self) -> str:
        """
        Raises:
            NoAnswer: Google gave none.
        """
        async with self._asking:
            now_ms = self._clock()
            if now_ms < self._token_until_ms:
                return self._token
            account = self._account
            assertion = google_assertion(
                self._key,
                key_id=account.private_key_id,
                email=account.client_email,
                audience=account.token_uri,
                now_s=now_ms // 1_000,
            )
            form = urlencode({"grant_type": GRANT, "assertion": assertion}).encode()
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await self._wire.post(account.token_uri, form, headers)
            if not answer.is_sent:
                raise NoAnswer(f"no access token: status {answer.status}")
            try:
                granted = msgspec.json.decode(answer.body, type=_Granted)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                raise NoAnswer("no access token in the answer") from None
            if not granted.access_token.isascii() or not granted.access_token.isprintable():
                raise NoAnswer("an odd access token")
            life_ms = min(granted.expires_in, LIFE_MAX_S) * 1_000
            self._token, self._token_until_ms = granted.access_token, now_ms + life_ms - SPARE_MS
            return self._token

    def _drop(self, token: str) -> None:
        """This token is good no more, whatever was said of its life."""
        if token == self._token:
            self._token_until_ms = 0


def _reason(raw: bytes) -> tuple[str, str]:
    """The status word and FCM's own code of an error; empty where there are none."""
    try:
        error = msgspec.json.decode(raw, type=_Refusal).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return "", ""
    code = next((each.error_code for each in error.details if each.error_code), "")
    return _word(error.status), _word(code)


def _word(text: str) -> str:
    """A code goes into logs; anything else does not."""
    return text if len(text) <= 40 and text.replace("_", "").isalnum() else ""
