"""A host of a call on a clock of its own, and a performer that writes down what it is given."""

from collections.abc import Callable
from uuid import UUID

from signalling.calls.host import Accounts, Cause, Host
from signalling.calls.watcher import Unwatched
from signalling.codes import Party, State
from signalling.core.call import open_call
from signalling.core.effects import Effect, Relay
from signalling.core.model import Call
from signalling.core.tariff import minute
from signalling.events import Profile
from signalling.limits import CallLimits
from tests.signalling.harness import FakeTime

ANN, KAI, CALL = UUID(int=1), UUID(int=2), UUID(int=3)
LIMITS = CallLimits()


class Watched(Unwatched):
    """Writes down the states between which calls moved."""

    def __init__(self) -> None:
        self.moves: list[tuple[State | None, State]] = []
        self.media: list[tuple[bool | None, int]] = []

    def moved(self, before: Call | None, call: Call, now_ms: int) -> None:
        self.moves.append((None if before is None else before.state, call.state))

    def flows(self, relay: bool | None, ms: int) -> None:
        self.media.append((relay, ms))


class Notes:
    """A performer that writes down what it is given; `on` runs in the middle of the work."""

    def __init__(self) -> None:
        self.effects: list[Effect] = []
        self.causes: list[Cause | None] = []
        self.watcher = Watched()
        self.sure = True
        self.on: Callable[[Host, Effect], None] = lambda host, effect: None

    def perform(self, host: Host, effects: list[Effect], cause: Cause | None, now_ms: int) -> None:
        for effect in effects:
            self.effects.append(effect)
            self.causes.append(cause)
            self.on(host, effect)

    def relay(self, host: Host, party: Party, device: str, data: bytes, now_ms: int) -> None:
        self.perform(host, [Relay(party, device, data)], None, now_ms)

    def door(self, host: Host, party: Party, device: str) -> None:
        """Nobody has a socket here."""

    def is_sure(self) -> bool:
        return self.sure

    def of(self, kind: type[Effect]) -> list[Effect]:
        return [effect for effect in self.effects if isinstance(effect, kind)]


def hosted(time: FakeTime, notes: Notes) -> Host:
    """Ann's phone has asked for Kai."""
    call, effects = open_call(
        call_id=CALL,
        kind="audio",
        connect_on="media",
        caller=Profile(user_id=ANN, name="Ann"),
        callee=Profile(user_id=KAI, name="Kai"),
        device="phone",
        has_socket=True,
        tariff=minute(0),
        held_minor=0,
        available_minor=0,
        limits=LIMITS,
        note=None,
        created_ms=time(),
        now_ms=time(),
    )
    made = Host(call, Accounts(1, 2, 3), notes, time, time.later)
    made.begin(effects, None)
    return made
