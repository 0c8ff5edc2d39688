"""One live call: its state, one timer, and `feed`, which gives an input to `step`.

There is no task: inputs come from the loop and are worked off at once. The deadline comes before
the inbox: time that has passed is counted before what happened after it.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol
from uuid import UUID

import msgspec

from signalling.calls.journal import REQUESTED, TAKEN_OVER, Journal
from signalling.calls.watcher import Watcher
from signalling.codes import By, Code, Party, Refused, State
from signalling.core.call import deadline, step
from signalling.core.effects import Effect, Relay
from signalling.core.inputs import Input, MediaConnected, Signalled, Stopped, TimerFired
from signalling.core.model import Call, leg_of
from signalling.events import Final

log = logging.getLogger(__name__)

# A correct step moves its deadline; more firings than this at one moment are our own mistake.
FIRINGS_MAX = 16
# A node that has been asleep looks so often whether the call is still its own.
AGAIN_MS = 50
# Meanwhile sockets come and go, and the books answer what they were asked.
INBOX_MAX = 1_000


class Cause(msgspec.Struct, frozen=True, gc=False):
    """The command that an input came from; its device is told by `re`."""

    user_id: UUID
    device: str
    id: str | None


class Accounts(msgspec.Struct, frozen=True):
    """Ledger accounts of one call. Without a payee all goes to the platform; `bonus` is the
    payer's bonus money, if there is any, and spent first."""

    payer: int
    payee: int | None
    platform: int
    bonus: int | None = None


class Door(Protocol):
    """A device with its socket on this node."""

    def relay(self, call: bytes, data: bytes, now_ms: int) -> bool:
        """Send a signal; false, and nothing done, if there is no socket any more."""
        ...


class Way(NamedTuple):
    """How a leg's last candidate went: what was asked of `step` in this state, and whose it
    became."""

    call: Call
    device: str
    gen: int
    to: str
    door: Door | None


class Handle(Protocol):
    def cancel(self) -> None: ...


Later = Callable[[int, Callable[[], None]], Handle]
"""`later(delay_ms, call)`: run once, after at least so many milliseconds."""


class Performer(Protocol):
    def perform(
        self, host: "Host", effects: list[Effect], cause: Cause | None, now_ms: int
    ) -> None: ...

    def relay(self, host: "Host", party: Party, device: str, data: bytes, now_ms: int) -> None: ...

    def door(self, host: "Host", party: Party, device: str) -> Door | None: ...

    def is_sure(self) -> bool:
        """Whether what this node knows of its calls holds; not when it has just been asleep."""
        ...

    @property
    def watcher(self) -> Watcher: ...


class Host:
    def __init__(
        self,
        call: Call,
        accounts: Accounts,
        performer: Performer,
        clock: Callable[[], int],
        later: Later,
        *,
        claim: int = 0,
    ) -> None:
        """`claim` is the number of owners that the call had before."""
        self.call = call
        self.claim = claim
        self.id = call.id
        self.id_text = str(call.id).encode()  # in every event of the call
        self.accounts = accounts
        self.journal = Journal()
        self._performer = performer
        # Every frame asks whose it is, and UUIDs compare themselves in Python.
        self._caller = call.caller.profile.user_id.int
        self._callee = call.callee.profile.user_id.int
        self._clock = clock
        self._later = later
        self._timer: Handle | None = None
        self._armed_ms: int | None = None
        # The deadline of the state `_due_of`: most inputs leave the state as it is.
        self._due_of: Call | None = None
        self._due_ms: int | None = None
        self._busy = False
        self._left = False
        self._lost = False
        self._inbox: deque[tuple[Input, Cause | None]] = deque()
        self._when_told: list[Callable[[Final], None]] = []
        self._ways: dict[Party, Way] = {}

    def party(self, user_id: UUID) -> Party:
        """Which side this user is.

        Raises:
            Refused: not_your_call.
        """
        number = user_id.int
        if number == self._caller:
            return Party.CALLER
        if number == self._callee:
            return Party.CALLEE
        raise Refused(Code.NOT_YOUR_CALL, "You are not a party of this call.", field="call")

    def users(self) -> tuple[UUID, UUID]:
        return self.call.caller.profile.user_id, self.call.callee.profile.user_id

    def user(self, party: Party) -> UUID:
        return leg_of(self.call, party).profile.user_id

    def begin(self, effects: list[Effect], cause: Cause | None) -> None:
        """Carry out the effects of opening the call."""
        now_ms = self._clock()
        self._performer.watcher.moved(None, self.call, now_ms)
        self.journal.note(now_ms, REQUESTED, effects)
        self._perform(effects, cause, now_ms)
        self._work_off()

    def go_on(self, effects: list[Effect]) -> None:
        """As `begin`, for a call that has begun under another owner."""
        now_ms = self._clock()
        self.journal.note(now_ms, TAKEN_OVER, effects)
        self._perform(effects, None, now_ms)
        self._work_off()

    def feed(self, given: Input, cause: Cause | None = None) -> None:
        """Give one input to the call.

        Raises:
            Refused: the call does not take it; nothing has changed. An input that arrives while
                another is worked off waits its turn, and its refusal is dropped. Unavailable, if
                this node has been asleep and does not know yet whether the call is still its own.
        """
        if self._lost:
            return
        if self._busy:
            self._inbox.append((given, cause))
            return
        now_ms = self._fire_due()
        if self._inbox:
            self._work_off()  # What was kept while this node was not sure comes first.
        try:
            self._step(given, cause, now_ms)
        finally:
            if self._inbox or self.call is not self._due_of:
                self._work_off()

    def pass_on(self, party: Party, device: str, gen: int, data: bytes) -> bool:
        """Relay a candidate that goes the way of the one before it; false if it may not.

        `step` is pure: asked the same again of the same state, it says the same again.
        """
        way, call, now_ms = self._ways.get(party), self.call, self._clock()
        if (
            way is None
            or way.call is not call
            or way.gen != gen
            or way.device != device
            or self._busy
            or self._inbox
            or self._lost
        ):
            return False
        # As `_fire_due`, of which there is nothing to do for nearly every candidate.
        due_ms = self._due_ms
        if (
            self._due_of is not call
            or (due_ms is not None and due_ms <= now_ms)
            or not self._performer.is_sure()
        ):
            now_ms = self._fire_due()
            if way.call is not self.call:
                return False
        self.journal.note_signal(now_ms, party, "candidates", gen, len(data))
        if way.door is None or not way.door.relay(self.id_text, data, now_ms):
            self._performer.relay(self, party.other, way.to, data, now_ms)
        return True

    def take(self, given: Input) -> None:
        """As `feed`, for what nobody waits to be answered: kept for as long as this node is not
        sure of the call, and dropped if the call does not take it."""
        if self._lost:
            return
        if len(self._inbox) >= INBOX_MAX:
            log.error("a call's inbox is full", extra={"call_id": str(self.id)})
            return
        self._inbox.append((given, None))
        if not self._busy:
            self._work_off()

    def when_told(self, then: Callable[[Final], None]) -> None:
        """Call `then` with what the ended call came to, as soon as everybody is told."""
        if self.call.final is not None and self.call.told:
            then(self.call.final)
        else:
            self._when_told.append(then)

    async def final(self) -> Final:
        """As `when_told`, to be waited for."""
        answer: asyncio.Future[Final] = asyncio.get_running_loop().create_future()

        def told(final: Final) -> None:
            if not answer.done():
                answer.set_result(final)

        self.when_told(told)
        return await answer

    def close(self) -> None:
        """Let go of the timer; the call is over for this node. Only the books may still answer."""
        self._left = True
        self._disarm()

    def abandon(self) -> None:
        """Another node has taken the call: nothing is done or told here any more."""
        self._lost = True
        self.close()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._armed_ms = None

    def _step(self, given: Input, cause: Cause | None, now_ms: int) -> None:
        before = self.call
        call, effects = step(before, given, now_ms)
        self.call = call
        self.journal.note(now_ms, given, effects)
        if isinstance(given, Signalled) and given.kind == "candidates":
            for effect in effects:
                assert isinstance(effect, Relay)
                door = self._performer.door(self, effect.party, effect.device)
                way = Way(call, given.device, given.gen, effect.device, door)
                self._ways[given.party] = way
        if (
            call.meter is not before.meter
            or call.state is not before.state
            or call.final is not before.final
        ):
            self._performer.watcher.moved(before, call, now_ms)
        if isinstance(given, MediaConnected):
            self._performer.watcher.flows(given.relay, given.ms)
        if effects:
            self._perform(effects, cause, now_ms)
        if call.told and self._when_told:
            assert call.final is not None
            waiting, self._when_told = self._when_told, []
            for then in waiting:
                then(call.final)

    def _perform(self, effects: list[Effect], cause: Cause | None, now_ms: int) -> None:
        self._busy = True
        try:
            self._performer.perform(self, effects, cause, now_ms)
        finally:
            self._busy = False

    def _work_off(self) -> None:
        while self._inbox:
            try:
                now_ms = self._fire_due()
            except Refused:
                self._arm_again()
                return
            given, cause = self._inbox.popleft()
            try:
                self._step(given, cause, now_ms)
            except Refused as refused:
                log.debug("input dropped", extra={"call_id": str(self.id), "code": refused.code})
        self._arm()

    def _deadline(self) -> int | None:
        if self.call is not self._due_of:
            self._due_of, self._due_ms = self.call, deadline(self.call)
        return self._due_ms

    def _fire_due(self) -> int:
        """Give the call the time that has passed; returns the time now.

        Raises:
            Refused: unavailable, this node has been asleep.
        """
        now_ms = self._clock()
        if self._left:
            return now_ms
        if not self._performer.is_sure():
            raise Refused(
                Code.UNAVAILABLE,
                "The server is not sure of the call; ask again.",
                retry_after_ms=500,
            )
        for _ in range(FIRINGS_MAX):
            # Asked at every input, and nearly always the same.
            due_ms = self._due_ms if self.call is self._due_of else self._deadline()
            if due_ms is None or due_ms > now_ms:
                return now_ms
            self._step(TimerFired(), None, now_ms)
            now_ms = self._clock()
        log.error("a call's deadline does not move", extra={"call_id": str(self.id)})
        self._give_up()
        return now_ms

    def _arm(self) -> None:
        """One timer, armed anew only for an earlier moment; an early firing just arms again."""
        due_ms = None if self._left else self._deadline()
        if due_ms is None:
            self._disarm()
            return
        if self._armed_ms is not None and self._armed_ms <= due_ms:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_ms = due_ms
        self._timer = self._later(max(0, due_ms - self._clock()), self._fired)

    def _arm_again(self) -> None:
        """Look soon whether this node is sure of the call."""
        if self._timer is not None:
            self._timer.cancel()
        self._armed_ms = self._deadline()
        self._timer = self._later(AGAIN_MS, self._fired)

    def _fired(self) -> None:
        self._timer = None
        self._armed_ms = None
        try:
            self._fire_due()
        except Refused:
            self._arm_again()
            return
        except Exception:
            log.exception("a call's timer failed", extra={"call_id": str(self.id)})
            self._give_up()
        self._work_off()

    def _give_up(self) -> None:
        """A call that cannot go on must not come back to its fault again and again."""
        if self.call.state is not State.ENDED:
            self._step(Stopped(By.SERVER), None, self._clock())
