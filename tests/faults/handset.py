"""A phone that checks what it is told, and now and then says something twice, late or both."""

import asyncio
import json
import time
from collections.abc import Callable
from random import Random

import aiohttp

from signalling.client.envelope import Backoff, Json
from signalling.client.wire import Wire
from tests.faults.people import Person
from tests.faults.witness import Witness

BACKOFF = Backoff(first_ms=50, max_ms=1_000)
LATE_S = 1.5


class Handset(Wire):
    """`resend` is the chance that a command is sent again although it needs no repeating."""

    def __init__(
        self,
        url: str,
        person: Person,
        name: str,
        witness: Witness,
        *,
        http: aiohttp.ClientSession,
        dice: Random,
        resend: float,
        heard: Callable[[Json], None],
        lost: Callable[[], None] = lambda: None,
    ) -> None:
        async def refresh() -> str:
            return person.token()

        super().__init__(
            url,
            person.token(),
            device_id=name,
            refresh=refresh,
            http=http,
            backoff=BACKOFF,
        )
        self.person = person
        self.witness = witness
        self.heard_s = 0.0
        self._dice = dice
        self._resend = resend
        self._heard = heard
        self._lost = lost
        self._may_connect = asyncio.Event()
        self._may_connect.set()

    def crash(self) -> None:
        """Gone without a word, until `revive`."""
        self._may_connect.clear()
        if self._socket is not None:
            self._socket._writer.transport.abort()

    def revive(self) -> None:
        self._may_connect.set()

    async def _one_connection(self) -> tuple[int, str]:
        await self._may_connect.wait()
        try:
            return await super()._one_connection()
        finally:
            self._lost()

    def _receive(self, raw: str) -> None:
        frame: Json = json.loads(raw)
        self.witness.heard(frame)
        self.heard_s = time.monotonic()
        self._heard(frame)
        super()._receive(raw)

    def _send(self, frame: str) -> None:
        super()._send(frame)
        if '"id":' in frame[:120] and self._dice.random() < self._resend:
            if self._dice.random() < 0.5:
                super()._send(frame)
            else:
                # After what comes later: repeated and out of order.
                wait_s = self._dice.uniform(0, LATE_S)
                asyncio.get_running_loop().call_later(wait_s, super()._send, frame)
