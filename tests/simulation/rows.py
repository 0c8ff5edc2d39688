"""What the model answers to the statements that nodes ask outside of their combiner's slices."""

from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

from storage import calls, nodes
from storage.calls import Person
from storage.terms import Ask, KnownCall, Offering, Terms
from tests.simulation.ledger import Ledger, Meter
from tests.simulation.loop import ProcessLoop

TRY_LOCK = "select pg_try_advisory_xact_lock($1, hashtext($2))"


class Account:
    """A user with accounts; `offer` makes a provider."""

    def __init__(self, user_id: UUID, wallet: int, earnings: int, offer: Offering | None) -> None:
        self.card = Person(user_id, f"user {user_id.int}", None)
        self.id = user_id
        self.wallet = wallet
        self.earnings = earnings
        self.offer = offer


class Rows:
    """`clock` is the database's."""

    def __init__(
        self, ledger: Ledger, accounts: dict[UUID, Account], clock: Callable[[], int]
    ) -> None:
        self._ledger = ledger
        self._accounts = accounts
        self.now_ms = clock
        self.locked: dict[UUID, ProcessLoop] = {}  # being adopted, by whom
        self._answers: dict[str, Callable[..., Sequence[Any]]] = {
            nodes.OF_CALL: self._of_call,
            nodes.OF_USER: self._of_user,
            nodes.DEAD: self._dead,
            TRY_LOCK: self._try_lock,
            nodes.FENCE_STILL_DEAD: self._fence,
            nodes.ORPHANED: self._orphaned,
            nodes.IS_DEAD: self._is_dead,
            calls.READ: self._read,
            calls.RECENT: self._recent,
        }

    def answer(self, sql: str, given: Sequence[Any]) -> Sequence[Any]:
        known = self._answers.get(sql)
        if known is not None:
            return known(*given)
        assert "join provider p using (user_id)" in sql, sql
        return []  # Presence is not simulated.

    # -- whose call is it

    def _standing(self, call_id: UUID) -> list[tuple[Any, ...]]:
        meter = self._ledger.opened.get(call_id)
        if meter is None:
            return []
        life = self._ledger.lives[meter.epoch]
        asked = meter.asked
        orphaned = life.fenced or self._is_left(call_id, meter)
        return [
            (
                call_id,
                asked.caller_id,
                asked.callee_id,
                life.name,
                life.epoch,
                meter.claim,
                orphaned,
            )
        ]

    def _is_left(self, call_id: UUID, meter: Meter) -> bool:
        left = self._ledger.left.get(call_id)
        return left is not None and left.epoch == meter.epoch

    def _of_call(self, call_id: UUID) -> list[tuple[Any, ...]]:
        return self._standing(call_id)

    def _of_user(self, user_id: UUID) -> list[tuple[Any, ...]]:
        call_id = self._ledger.slots.get(user_id)
        return [] if call_id is None else self._standing(call_id)

    def _dead(self, epoch: int, lease_ms: int, lost_ms: int) -> list[tuple[int, str, bool]]:
        now_ms = self.now_ms()
        return [
            (life.epoch, life.name, life.beat_at_ms < now_ms - lease_ms)
            for life in self._ledger.lives.values()
            if not life.fenced and life.epoch != epoch and life.beat_at_ms < now_ms - lost_ms
        ]

    def _try_lock(self, _: int, name: str) -> list[tuple[bool]]:
        held = any(life.locked and life.name == name for life in self._ledger.lives.values())
        return [(not held,)]

    def _fence(self, epoch: int, age_ms: int) -> list[tuple[int]]:
        life = self._ledger.lives[epoch]
        if life.fenced or life.beat_at_ms >= self.now_ms() - age_ms:
            return []
        life.fenced = True
        return [(epoch,)]

    def _is_dead(self, epoch: int) -> list[tuple[bool]]:
        life = self._ledger.lives[epoch]
        return [(life.fenced and not life.left,)]

    def _orphaned(self, epoch: int, handed_ms: int) -> list[tuple[UUID]]:
        ledger, before_ms = self._ledger, self.now_ms() - handed_ms
        return [
            (call_id,)
            for call_id, meter in ledger.opened.items()
            if meter.epoch != epoch
            and (
                ledger.lives[meter.epoch].fenced
                or (self._is_left(call_id, meter) and ledger.left[call_id].at_ms < before_ms)
            )
        ]

    def orphans(self, call_ids: Sequence[UUID], epoch: int) -> list[dict[str, Any]]:
        """What `nodes.ADOPT` returns; `adopt` is what it does."""
        ledger = self._ledger
        rows = []
        for call_id in call_ids:
            meter = ledger.opened.get(call_id)
            locker = self.locked.get(call_id)
            if meter is None or meter.epoch == epoch or (locker is not None and not locker.dead):
                continue
            old = ledger.lives[meter.epoch]
            left = ledger.left.get(call_id)
            mine = left is not None and left.epoch == meter.epoch
            if old.fenced or mine:
                rows.append(self._orphan(call_id, meter, old.epoch, left if mine else None))
        rows.sort(key=lambda row: (row["created_ms"], row["call_id"]))
        return rows

    def unlock(self, call_ids: Sequence[UUID], locker: ProcessLoop) -> None:
        for call_id in call_ids:
            if self.locked.get(call_id) is locker:
                del self.locked[call_id]

    def adopt(self, call_ids: Sequence[UUID], epoch: int, locker: ProcessLoop) -> None:
        for call_id in call_ids:
            if self.locked.get(call_id) is not locker:
                continue  # Its process died, and another one has it.
            meter = self._ledger.opened[call_id]
            meter.epoch, meter.claim = epoch, meter.claim + 1
            meter.owners.append(epoch)
            self._ledger.left.pop(call_id, None)

    def _orphan(self, call_id: UUID, meter: Meter, old: int, left: Any) -> dict[str, Any]:
        asked, life, now_ms = meter.asked, self._ledger.lives[old], self.now_ms()
        caller, callee = self._accounts[asked.caller_id], self._accounts[asked.callee_id]
        provider = callee.offer if asked.payee is not None else None
        return {
            "call_id": call_id,
            "caller_id": asked.caller_id,
            "caller_name": caller.card.name,
            "caller_avatar": None,
            "callee_id": asked.callee_id,
            "callee_name": callee.card.name if provider is None else provider.display_name,
            "callee_avatar": None,
            "caller_device": meter.caller_leg or asked.caller_device,
            "callee_device": meter.callee_device,
            "request_id": asked.request_id,
            "kind": asked.kind,
            "connect_on": asked.connect_on,
            "state": meter.state,
            "note": asked.note,
            "tariff": asked.tariff.decode(),
            "created_ms": asked.created_ms,
            "ringing_ms": meter.ringing_ms,
            "accepted_ms": meter.accepted_ms,
            "connected_ms": meter.connected_ms,
            "epoch": old,
            "beat_ms": life.beat_ms,
            "silent_ms": max(0, now_ms - life.beat_at_ms),
            "claim": meter.claim + 1,
            "payer": asked.payer,
            "bonus": None,
            "payee": asked.payee,
            "platform": asked.platform,
            "billable_ms": meter.billable_ms,
            "asof_ms": meter.asof_ms,
            "running": meter.running,
            "charged_minor": meter.charged,
            "earned_minor": meter.earned,
            "hold_minor": meter.hold,
            "available_minor": self._ledger.accounts[asked.payer].free,
            "left": None if left is None else left.state,
            "left_now_ms": 0 if left is None else left.now_ms,
            "left_age_ms": 0 if left is None else max(0, now_ms - left.at_ms),
        }

    # -- the history

    def _read(self, user_id: UUID, call_id: UUID) -> list[tuple[Any, ...]]:
        row = self.call(call_id)
        return [] if row is None or user_id not in (row[1], row[5]) else [row]

    def _recent(self, user_id: UUID, since_ms: int, limit: int, _: int) -> list[tuple[Any, ...]]:
        found = []
        for call_id in self._ledger.of_user.get(user_id, ()):
            row = self.call(call_id)
            if row is not None and row[11] == "ended" and row[23] >= since_ms:
                found.append(row)
        found.sort(key=lambda row: -row[23])
        return found[:limit]

    def call(self, call_id: UUID) -> tuple[Any, ...] | None:
        """A row of `calls.CALL`."""
        meter, record = self._ledger.meters.get(call_id), self._ledger.records.get(call_id)
        if meter is None and record is None:
            return None
        asked = record if meter is None else meter.asked
        assert asked is not None
        settled = None if meter is None else meter.settled
        end = settled or record
        ended_ms = settled.ended_ms if settled else (record.created_ms if record else None)
        caller, callee = self._accounts[asked.caller_id].card, self._accounts[asked.callee_id].card
        head = (
            call_id,
            *(caller.user_id, caller.name, None, "active"),
            *(callee.user_id, callee.name, None, "active"),
            *(asked.kind, asked.connect_on, "ended" if meter is None else meter.state),
            *((None, None) if end is None else (end.reason, end.ended_by)),
            *(asked.caller_device, None if meter is None else meter.callee_device),
            *(asked.request_id, asked.note, asked.tariff.decode(), asked.created_ms),
        )
        if meter is None:
            return (*head, None, None, None, ended_ms, 0, 0, 0, 0, 0, 0, 0, None)
        return (
            *head,
            *(meter.ringing_ms, meter.accepted_ms, meter.connected_ms, ended_ms),
            *(0 if settled is None else settled.talk_ms, meter.billable_ms),
            *(0 if settled is None else settled.units, meter.charged, meter.earned, meter.hold),
            *(0, None),
        )

    # -- terms

    def terms(self, ask: Ask) -> Terms | None:
        assert ask.callee_id is not None
        ledger = self._ledger
        payer, payee = self._accounts[ask.caller_id], self._accounts[ask.callee_id]
        known_id = None
        if ask.request_id is not None:
            known_id = ledger.requests.get((ask.caller_id, ask.device, ask.request_id))
        if known_id is None and ask.call_id is not None and self.call(ask.call_id) is not None:
            known_id = ask.call_id
        known = None
        if known_id is not None:
            row = self.call(known_id)
            assert row is not None
            known = KnownCall(known_id, row[1], row[5], row[11])
        return Terms(
            caller=payer.card,
            callee=payee.card,
            provider=payee.offer,
            blocked=False,
            wallet=payer.wallet,
            available_minor=ledger.accounts[payer.wallet].free,
            currency="PTS",
            earnings=payee.earnings,
            known=known,
            unanswered=0,
            unanswered_since_ms=None,
            calls_last_hour=0,
        )
