"""One careful POST to an operator's endpoint: a deadline, no redirects, a small answer at most."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from ipaddress import ip_address

import aiohttp
import msgspec
from aiohttp import hdrs
from aiohttp.connector import AddrInfoType

from rest.operators.webhook_urls import fault_of, is_public

DEADLINE_S = 10.0
ANSWER_BYTES_MAX = 1_024
CONNECTIONS_MAX = 40
RETRY_AFTER_MAX_S = 86_400.0
# Who answers so tells when to come back.
WITH_RETRY_AFTER = (429, 503)
NO_PUBLIC = "it is at no public address"


class Answer(msgspec.Struct, frozen=True):
    """What came of it. `status` is None when nobody answered, and `error` says why; `text` is the
    beginning of an answer that is no success; `retry_after_s` is when to come back, if told."""

    took_ms: int
    status: int | None = None
    error: str | None = None
    text: str | None = None
    retry_after_s: float | None = None


class NotPublic(OSError):
    """An address on this host or in a private network."""


def public_socket(info: AddrInfoType) -> socket.socket:
    """The socket of one connection. Asked for the very address that is connected to, so that no
    name and no spelling of a number leads inside, however it changes.

    Raises:
        NotPublic: nothing is sent there.
    """
    family, kind, protocol, _, target = info
    try:
        address = ip_address(str(target[0]).split("%")[0])
    except ValueError:
        raise NotPublic(NO_PUBLIC) from None
    if not is_public(address):
        raise NotPublic(NO_PUBLIC)
    return socket.socket(family, kind, protocol)


class Sender:
    """Keeps connections between deliveries; `close` it at the end."""

    def __init__(self, *, strict: bool, deadline_s: float = DEADLINE_S) -> None:
        """`strict`: to public addresses by TLS only."""
        self._strict = strict
        self._deadline_s = deadline_s
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Never raises for what the network or the other side does."""
        began = time.monotonic()

        def failed(error: str) -> Answer:
            return Answer(_ms_since(began), error=error)

        # It may have been taken in development.
        wrong = fault_of(url, strict=self._strict)
        if wrong is not None:
            return failed(f"the URL {wrong}")
        if self._session is None:
            self._session = self._make_session()
        sent = {hdrs.CONTENT_TYPE: "application/json", hdrs.USER_AGENT: "talktime", **headers}
        try:
            async with self._session.post(
                url, data=body, headers=sent, allow_redirects=False
            ) as answer:
                text = await _beginning(answer)
                return Answer(
                    _ms_since(began),
                    status=answer.status,
                    error=None if answer.status < 300 else f"status {answer.status}",
                    text=None if answer.status < 300 else text,
                    retry_after_s=_retry_after(answer),
                )
        except TimeoutError:
            return failed(f"no answer within {self._deadline_s:g} s")
        except (aiohttp.ClientError, OSError, ValueError) as fault:
            return failed(_named(fault))

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _make_session(self) -> aiohttp.ClientSession:
        guard = public_socket if self._strict else None
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=guard, limit=CONNECTIONS_MAX),
            timeout=aiohttp.ClientTimeout(total=self._deadline_s),
            cookie_jar=aiohttp.DummyCookieJar(),
            # What is not unpacked cannot be larger than what came.
            headers={hdrs.ACCEPT_ENCODING: "identity"},
            auto_decompress=False,
        )


async def _beginning(answer: aiohttp.ClientResponse) -> str:
    raw = bytearray()
    async for chunk in answer.content.iter_any():
        raw += chunk
        if len(raw) >= ANSWER_BYTES_MAX:
            answer.close()  # The rest is not wanted, and its connection cannot be used again.
            break
    text = raw[:ANSWER_BYTES_MAX].decode(errors="replace")
    return "".join(sign for sign in text if sign.isprintable() or sign in "\n\t")


def _retry_after(answer: aiohttp.ClientResponse) -> float | None:
    """Seconds until the moment that the header names, either way; None for what is neither."""
    told = answer.headers.get(hdrs.RETRY_AFTER, "").strip()
    if answer.status not in WITH_RETRY_AFTER or not told:
        return None
    if told.isascii() and told.isdigit():
        wait_s = float(told[:9])
    else:
        try:
            wait_s = parsedate_to_datetime(told).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    return min(max(0.0, wait_s), RETRY_AFTER_MAX_S)


def _named(fault: Exception) -> str:
    """The kind of fault in words of ours: its own may quote what was sent."""
    if isinstance(fault.__cause__, NotPublic):
        return NO_PUBLIC
    match fault:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not valid"
        case aiohttp.ClientSSLError():
            return "no TLS with it"
        case aiohttp.ClientConnectorDNSError():
            return "its name leads nowhere"
        case aiohttp.ClientConnectorError():
            return "no connection to it"
    return f"no answer: {type(fault).__name__}"


def _ms_since(began: float) -> int:
    return int((time.monotonic() - began) * 1_000)
