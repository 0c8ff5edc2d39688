"""A call that its owner has not handed over goes on from what the books say."""

from uuid import UUID

from signalling.codes import Party, State
from signalling.core.effects import Effect, Tell
from signalling.core.revival import REVS_PER_OWNER, Remains, revive
from signalling.core.tariff import minute
from signalling.events import Profile
from signalling.limits import CallLimits

NOW_MS = 1_800_000_000_000


def remains(caller_device: str | None, callee_device: str | None) -> Remains:
    return Remains(
        claim=2,
        kind="audio",
        connect_on="media",
        note=None,
        caller=Profile(user_id=UUID(int=1), name="Ann"),
        callee=Profile(user_id=UUID(int=2), name="Kai"),
        caller_device=caller_device,
        callee_device=callee_device,
        tariff=minute(100),
        created_ms=NOW_MS - 90_000,
        ringing_ms=NOW_MS - 89_000,
        accepted_ms=NOW_MS - 88_000,
        connected_ms=NOW_MS - 87_000,
        billable_ms=60_001,
        asof_ms=NOW_MS - 27_000,
        beat_ms=NOW_MS - 3_000,
        running=True,
        charged_minor=200,
        hold_minor=100,
        available_minor=1_000,
    )


def told(effects: list[Effect], party: Party) -> list[tuple[str, int | None]]:
    return [
        (effect.event.leg, effect.rev)  # type: ignore[attr-defined]
        for effect in effects
        if isinstance(effect, Tell) and effect.party is party
    ]


def test_each_leg_that_is_missed_is_told_under_a_number_of_its_own() -> None:
    call, effects = revive(UUID(int=9), remains("phone", "tablet"), CallLimits(), NOW_MS)
    first = 2 * REVS_PER_OWNER + 1
    for party in Party:
        revs = [rev for _, rev in told(effects, party)]
        assert revs == [first, first + 1]
        assert {leg for leg, _ in told(effects, party)} == set(Party)
    assert (call.state, call.rev) == (State.RECONNECTING, first + 1)
    assert call.meter.billable_ms == 84_001


def test_a_leg_without_a_socket_is_not_waited_for() -> None:
    call, effects = revive(UUID(int=9), remains("phone", None), CallLimits(), NOW_MS)
    assert [leg for leg, _ in told(effects, Party.CALLEE)] == [Party.CALLER]
    assert call.down == {Party.CALLER}
    assert call.rev == 2 * REVS_PER_OWNER + 1
