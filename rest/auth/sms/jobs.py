"""The job that sends a one-time code. It carries the id; the digits are made when it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import structlog

from rest.auth.codes import CodeKey
from rest.auth.sms.port import Message, Sms, SmsDown, SmsRefused
from storage import jobs, otp
from storage.otp import Otp
from storage.pool import Connection, Pool, within

SEND_SMS = "send_sms"
DB_S = 4.0
# Where the digits go in the text.
PLACE = "{code}"

Handler = Callable[[dict[str, object]], Awaitable[None]]

_log = structlog.get_logger(__name__)


async def promise(conn: Connection, issued: Otp) -> None:
    """Send the code once the caller's transaction has committed."""
    await jobs.enqueue(conn, SEND_SMS, {"otpId": str(issued.id)})


class SmsJobs:
    """`handlers()` is for whoever runs the jobs."""

    def __init__(
        self,
        pool: Pool,
        sms: Sms,
        key: CodeKey,
        *,
        text: str,
        clock: Callable[[], int],
        sent: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`text` holds `{code}`. `sent` hears of each try: sent, stale, refused or failed."""
        self._pool = pool
        self._sms = sms
        self._key = key
        self._text = text
        self._clock = clock
        self._sent = sent

    def handlers(self) -> dict[str, Handler]:
        return {SEND_SMS: self.send}

    async def send(self, payload: dict[str, object]) -> None:
        """Send the code, unless it has expired or been used or replaced meanwhile.

        Raises:
            SmsDown: it is worth another try.
        """
        otp_id = UUID(str(payload["otpId"]))
        live = await within(DB_S, self._read(otp_id))
        if live is None:
            self._sent("stale")
            return
        text = self._text.replace(PLACE, self._key.code_of(live))
        try:
            await self._sms.send(Message(otp_id, live.phone, text))
        except SmsRefused as refused:
            _log.warning("sms_refused", otp_id=str(otp_id), said=str(refused))
            self._sent("refused")
        except SmsDown:
            self._sent("failed")
            raise
        else:
            self._sent("sent")

    async def _read(self, otp_id: UUID) -> Otp | None:
        async with self._pool.acquire(timeout=DB_S) as conn:
            return await otp.read_live(conn, otp_id, self._clock())
