"""Effects to I/O: notices go to queues at once, ledger work to the write-combining queue.

Nothing here waits. What the ledger answers comes back to the call as an input.
"""

import logging
from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from signalling.calls.host import Cause, Door, Host
from signalling.calls.watcher import Unwatched, Watcher
from signalling.codes import Party
from signalling.core import effects as made
from signalling.core import inputs
from signalling.events import IceServers
from signalling.frames import Encoded, encode_event, encode_raw
from signalling.nodes.fanout import Fanout
from signalling.push import Push, Wake
from signalling.turn import TurnTerms, ice_servers
from storage import works

log = logging.getLogger(__name__)


class Books(Protocol):
    """The write-combining queue, as seen from here."""

    def put(self, work: works.Work, done: Callable[[works.Outcome], None]) -> None: ...


class CallPerformer:
    """Carries out effects, in order. `closed` is told when a call may be let go."""

    def __init__(
        self,
        fanout: Fanout,
        books: Books,
        push: Push,
        turn: TurnTerms,
        *,
        closed: Callable[[Host], None],
        watcher: Watcher | None = None,
        sure: Callable[[], bool] = lambda: True,
    ) -> None:
        """`sure` says whether what this node knows of its calls holds (`wakefulness`)."""
        self._fanout = fanout
        self._books = books
        self._push = push
        self._turn = turn
        self._closed = closed
        self.is_sure = sure
        self.watcher = watcher or Unwatched()

    def perform(
        self, host: Host, effects: list[made.Effect], cause: Cause | None, now_ms: int
    ) -> None:
        for effect in effects:
            match effect:
                case made.Relay():
                    self.relay(host, effect.party, effect.device, effect.data, now_ms)
                case made.Tell():
                    self._tell(host, effect, cause, now_ms)
                case made.Charge():
                    self._charge(host, effect)
                case made.Settle():
                    self._settle(host, effect)
                case made.Note():
                    self._note(host, effect)
                case made.NoteLegs(caller=caller, callee=callee):
                    work = works.NoteLegs(
                        call_id=host.id, caller_device=caller, callee_device=callee
                    )
                    self._books.put(work, ignore)
                case made.WakeCallee():
                    self._wake(host)
                case made.PushIce(party=party, device=device):
                    user_id = host.user(party)
                    servers = ice_servers(self._turn, user_id, host.id, now_ms)
                    event = encode_event(IceServers(ice_servers=servers), now_ms, call=host.id_text)
                    self._to_device(host, user_id, device, event)
                case made.Closed():
                    self._closed(host)
                case _:
                    raise AssertionError(effect)

    def relay(self, host: Host, party: Party, device: str, data: bytes, now_ms: int) -> None:
        """A signal for one device of a party."""
        door = self.door(host, party, device)
        if door is None or not door.relay(host.id_text, data, now_ms):
            event = encode_raw("signal", data, now_ms, call=host.id_text)
            self._to_device(host, host.user(party), device, event)

    def door(self, host: Host, party: Party, device: str) -> Door | None:
        """The device, if it is known on this node: most of a call's frames are signals, and each
        goes to one device only, so nothing of them needs to be put together twice."""
        return self._fanout.door(host.user(party), device)

    def _tell(self, host: Host, effect: made.Tell, cause: Cause | None, now_ms: int) -> None:
        user_id = host.user(effect.party)
        event = encode_event(effect.event, now_ms, call=host.id_text, rev=effect.rev)
        re: tuple[str, str] | None = None
        if cause is not None and cause.id is not None and cause.user_id.int == user_id.int:
            re = (cause.device, cause.id)
        self._fanout.to_user(
            user_id,
            event,
            only=effect.only,
            but=effect.but,
            re=re,
            call=host.id,
            claim=host.claim,
        )

    def _to_device(self, host: Host, user_id: UUID, device: str, event: Encoded) -> None:
        self._fanout.to_user(user_id, event, only=device, call=host.id, claim=host.claim)

    def _wake(self, host: Host) -> None:
        call = host.call
        user_id = call.callee.profile.user_id
        if not self._push.enabled:
            return
        self._push.wake(
            Wake(
                user_id=user_id,
                call_id=call.id,
                caller_name=call.caller.profile.name,
                kind=call.kind,
                expires_at=call.expires_ms or call.created_ms,
                connected=self._fanout.connected(user_id),
            )
        )

    # -- the ledger

    def _note(self, host: Host, effect: made.Note) -> None:
        work = works.Note(
            call_id=host.id,
            state=effect.state.value,
            ringing_ms=effect.ringing_ms,
            accepted_ms=effect.accepted_ms,
            callee_device=effect.callee_device,
        )
        self._books.put(work, ignore)

    def _charge(self, host: Host, effect: made.Charge) -> None:
        accounts = host.accounts
        work = works.Charge(
            call_id=host.id,
            payer=accounts.payer,
            bonus=accounts.bonus,
            payee=accounts.payee,
            platform=accounts.platform,
            target_minor=effect.target_minor,
            earned_minor=effect.earned_minor if accounts.payee is not None else 0,
            billable_ms=effect.billable_ms,
            asof_ms=effect.asof_ms,
            running=effect.running,
            cover_minor=effect.cover_minor,
            quantum_minor=effect.quantum_minor,
            connected_ms=effect.connected_ms,
            state=effect.state.value,
            units=effect.units,
            ringing_ms=host.call.ringing_ms,
            accepted_ms=host.call.accepted_ms,
            callee_device=host.call.callee.device,
        )

        def answered(outcome: works.Outcome) -> None:
            if isinstance(outcome, works.Charged) and not outcome.refused:
                given: inputs.Input = inputs.ChargePosted(
                    outcome.charged_minor, outcome.hold_minor, outcome.available_minor
                )
            else:
                log.error(
                    "charge refused", extra={"call_id": str(host.id), "outcome": str(outcome)}
                )
                given = inputs.ChargeRefused()
            host.take(given)

        self._books.put(work, answered)

    def _settle(self, host: Host, effect: made.Settle) -> None:
        accounts, call = host.accounts, host.call
        work = works.Settle(
            call_id=host.id,
            payer=accounts.payer,
            bonus=accounts.bonus,
            payee=accounts.payee,
            platform=accounts.platform,
            target_minor=effect.target_minor,
            earned_minor=effect.earned_minor if accounts.payee is not None else 0,
            billable_ms=effect.billable_ms,
            talk_ms=effect.billable_ms,
            units=effect.units,
            reason=effect.reason.value,
            ended_by=effect.by.value,
            ended_ms=effect.ended_ms,
            ringing_ms=call.ringing_ms,
            accepted_ms=call.accepted_ms,
            connected_ms=call.connected_ms,
            callee_device=call.callee.device,
            rev=call.rev,
        )

        def answered(outcome: works.Outcome) -> None:
            if isinstance(outcome, works.Settled):
                host.take(
                    inputs.Settled(
                        outcome.charged_minor,
                        outcome.earned_minor,
                        outcome.billable_ms,
                        outcome.available_minor,
                    )
                )
            else:
                # The books stay open until recovery closes them; the people are told in time.
                log.error("settle failed", extra={"call_id": str(host.id), "outcome": str(outcome)})
                host.take(inputs.SettleFailed())

        self._books.put(work, answered)


def ignore(_: works.Outcome) -> None:
    """For work that nobody waits for."""
