"""Calls that end before they ring: recorded, so that both histories show them, and told once."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import msgspec

from signalling.calls.asker import Asker
from signalling.calls.host import Performer
from signalling.calls.performer import Books
from signalling.codes import By, Code, Reason, Refused, State
from signalling.events import CallRejected, Final
from signalling.frames import encode_event
from signalling.nodes.fanout import Fanout
from storage import calls, works
from storage.ids import new_id


class Refuser:
    def __init__(
        self, *, books: Books, performer: Performer, fanout: Fanout, clock: Callable[[], int]
    ) -> None:
        self._books = books
        self._performer = performer
        self._fanout = fanout
        self._clock = clock

    async def record(self, asker: Asker, tariff: bytes, reason: Reason) -> calls.CallRow:
        """Store the call as ended; its row. The one terminal event follows the caller's answer.

        Raises:
            Refused: unavailable.
        """
        terms = asker.terms
        now_ms = self._clock()
        call_id = asker.wish.call_id or new_id()
        work = works.Record(
            call_id=call_id,
            caller_id=asker.caller,
            callee_id=terms.callee.user_id,
            caller_device=asker.device,
            request_id=asker.request_id,
            kind=asker.wish.kind,
            connect_on=asker.connect_on,
            note=asker.wish.note,
            tariff=tariff,
            reason=reason.value,
            ended_by=By.CALLEE.value,
            created_ms=now_ms,
        )
        recorded: asyncio.Future[works.Outcome] = asyncio.get_running_loop().create_future()

        def answered(outcome: works.Outcome) -> None:
            if not recorded.done():  # Who waits may have been stopped.
                recorded.set_result(outcome)

        self._books.put(work, answered)
        if not isinstance(await recorded, works.Recorded):
            raise Refused(Code.UNAVAILABLE, "Send the same request again.", retry_after_ms=1_000)
        row = calls.CallRow(
            call_id=call_id,
            caller=terms.caller,
            callee=terms.callee,
            kind=asker.wish.kind,
            connect_on=asker.connect_on,
            state=State.ENDED.value,
            reason=reason.value,
            ended_by=By.CALLEE.value,
            caller_device=asker.device,
            callee_device=None,
            request_id=asker.request_id,
            note=asker.wish.note,
            tariff=work.tariff,
            created_ms=now_ms,
            ringing_ms=None,
            accepted_ms=None,
            connected_ms=None,
            ended_ms=now_ms,
            talk_ms=0,
            billable_ms=0,
            units=0,
            charged_minor=0,
            earned_minor=0,
            hold_minor=0,
        )
        self._performer.watcher.refused(row)
        # The reply comes first; the one terminal event follows it.
        asyncio.get_running_loop().call_soon(self._tell_refused, asker, call_id, reason, now_ms)
        return row

    def _tell_refused(self, asker: Asker, call_id: UUID, reason: Reason, now_ms: int) -> None:
        final = Final(ring_seconds=0, talk_seconds=0, billed_seconds=0, units=0, total=0)
        here = CallRejected(reason=reason, by=By.CALLEE, elsewhere=False, final=final)
        event = encode_event(here, now_ms, call=call_id, rev=1)
        re = None if asker.request_id is None else (asker.device, asker.request_id)
        self._fanout.to_user(asker.caller, event, only=asker.device, re=re)
        elsewhere = msgspec.structs.replace(here, elsewhere=True)
        event = encode_event(elsewhere, now_ms, call=call_id, rev=1)
        self._fanout.to_user(asker.caller, event, but=asker.device)
