"""One run: people live for a while, the faults end, and then everything must come to rest."""

from uuid import UUID

import msgspec

from signalling.codes import Reason, State
from signalling.core.call import deadline
from tests.simulation.world import LIMITS, World

LIFE_MS = 900_000
LONGEST_MS = (
    LIMITS.reach_ms
    + LIMITS.ring_ms
    + LIMITS.connect_ms
    + LIMITS.duration_max_ms
    + LIMITS.grace_ms
    + LIMITS.settle_wait_ms
)
STEP_MS = 5_000


class Result(msgspec.Struct, frozen=True):
    digest: str
    calls: int
    talked: int
    charged_minor: int
    lost_answers: int
    reasons: dict[str, int]


def simulate(seed: int, life_ms: int = LIFE_MS) -> Result:
    """Run one seed. Raises AssertionError when a rule was broken."""
    world = World(seed)
    try:
        for person in world.people:
            world.soon(0, 10_000, world.live, person)
        forward(world, life_ms)
        world.faults = world.books.faults = False
        for phone in world.hub.everyone():
            phone.reconnect()
        forward(world, LONGEST_MS + 60_000)
        check_rest(world)
        return summary(world)
    finally:
        world.close()


def forward(world: World, ms: int) -> None:
    for _ in range(ms // STEP_MS):
        world.stalled = False
        world.loop.run_for(STEP_MS)
        if world.failures:
            raise world.failures[0]
        check_alive(world)
        late = overdue(world)
        if late and not world.stalled:
            world.loop.run_for(2)
            assert not late & overdue(world), "a timer was missed"


def overdue(world: World) -> set[tuple[UUID, int]]:
    """Deadlines that have passed; one that has just come about is met a moment later."""
    now_ms = world.loop.clock()
    dues = ((host.id, deadline(host.call)) for host in world.registry.hosts())
    return {(call_id, due) for call_id, due in dues if due is not None and due < now_ms}


def check_alive(world: World) -> None:
    """True at any moment: a user is in one live call at most."""
    seen: set[UUID] = set()
    for host in world.registry.hosts():
        if host.call.state is not State.ENDED:
            for user_id in host.users():
                assert user_id not in seen
                seen.add(user_id)


def check_rest(world: World) -> None:
    """Nothing is left over, every call has ended, and the books are closed once each."""
    ledger = world.ledger
    assert len(world.registry) == 0
    assert world.books.waiting == 0
    assert ledger.slots == {}
    assert all(account.held == 0 for account in ledger.accounts.values())
    assert all(meter.settlements == 1 for meter in ledger.meters.values())
    assert world.loop.scheduled() == 0
    for call_id, opened_ms in world.opened.items():
        check_call(world, call_id, opened_ms)
    for call_id, meter in ledger.meters.items():
        assert meter.settled is not None
        connected_ms = meter.settled.connected_ms
        if connected_ms is None:
            assert meter.charged == 0
        else:
            assert meter.billable_ms <= meter.settled.ended_ms - connected_ms + 1
            check_evidence(world, call_id)


def check_call(world: World, call_id: UUID, opened_ms: int) -> None:
    meter = world.ledger.meters.get(call_id)
    if meter is None:
        assert call_id in world.ledger.records
        return
    assert meter.settled is not None
    assert meter.settled.ended_ms - opened_ms <= LONGEST_MS
    for user_id in (meter.asked.caller_id, meter.asked.callee_id):
        for phone in world.hub.phones[user_id].values():
            if phone.since_ms < meter.asked.created_ms:
                # Connected all the time: it was told the end.
                assert phone.ends.get(call_id) == 1, (call_id, phone.user_id, phone.id)


def check_evidence(world: World, call_id: UUID) -> None:
    """No more is billed than what flowed and what each interruption may have hidden."""
    meter = world.ledger.meters[call_id]
    ended = world.registry.ended(call_id)
    if meter.asked.connect_on != "media" or ended is None:
        return
    window_ms = 2 * LIMITS.evidence_ms + LIMITS.grace_ms
    interruptions = len(ended.breaks) + 2
    carried_ms = world.network(call_id).carried_ms()
    assert meter.billable_ms <= carried_ms + interruptions * window_ms


def summary(world: World) -> Result:
    meters = world.ledger.meters.values()
    reasons: dict[str, int] = {reason.value: 0 for reason in Reason}
    for meter in meters:
        assert meter.settled is not None
        reasons[meter.settled.reason] += 1
    return Result(
        world.digest,
        len(meters),
        sum(meter.charged > 0 for meter in meters),
        sum(meter.charged for meter in meters),
        world.books.lost_answers,
        reasons,
    )
