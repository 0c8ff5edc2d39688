"""One run: people live for a while, the faults end, and then everything must come to rest."""

from random import Random

import msgspec

from tests.simulation.chaos import Chaos
from tests.simulation.people import Person
from tests.simulation.world import FAULTS, Plan, World

LIFE_MS = 180_000
# The end of the faults, everybody hangs up, all must be settled and told.
REST_MS = 100_000
HANG_UP_MS = 10_000
# A phone may take a minute and two back-offs to notice that its node was killed.
HANG_UPS = 12
START_MS = 3_000


class Result(msgspec.Struct, frozen=True):
    digest: str
    calls: int
    talked: int
    charged_minor: int
    lost_answers: int
    steps: int
    reasons: dict[str, int]
    counts: dict[str, int]


def plan_of(
    seed: int,
    *,
    nodes: int | None = None,
    life_ms: int = LIFE_MS,
    faults: frozenset[str] | None = None,
) -> Plan:
    """What the seed chooses, where nothing else is said. Some faults are left out of each run."""
    dice = Random(f"plan {seed}")
    many = dice.choice((1, 2, 2, 3, 3, 4))
    users = dice.choice((8, 16, 30))
    some = frozenset(fault for fault in FAULTS if dice.random() < 0.5)
    return Plan(
        nodes=many if nodes is None else nodes,
        users=users,
        life_ms=life_ms,
        faults=some if faults is None else faults,
    )


def simulate(seed: int, plan: Plan | None = None, keep: list[str] | None = None) -> Result:
    """Run one seed. Raises AssertionError when a rule was broken."""
    world = World(seed, plan or plan_of(seed), keep)
    with world.running():
        for node in world.nodes:
            node.start()
        world.forward(START_MS)
        for phone in world.all_phones():
            phone.soon(0, 2_000, phone.connect)
        for user_id in world.phones:
            person = Person(world, user_id, world.dice_of(f"person {user_id.int}"))
            world.time.later(world.dice.randint(2_000, 8_000), person.live)
        chaos = Chaos(world, world.dice_of("chaos"))
        chaos.start()
        world.forward(world.plan.life_ms)
        world.faults = False
        world.trace("the faults end")
        chaos.heal()
        for phone in world.all_phones():
            phone.go_online()
        for _ in range(HANG_UPS):  # A request that waited for its node may ring late.
            world.forward(HANG_UP_MS)
            for phone in world.all_phones():
                if phone.app.live is not None:
                    phone.app.hang_up(phone.app.live)
        world.forward(REST_MS)
        world.checks.rest()
        return summary(world)


def summary(world: World) -> Result:
    meters = world.ledger.meters.values()
    reasons: dict[str, int] = {}
    for meter in meters:
        assert meter.settled is not None
        reason = meter.settled.reason
        reasons[reason] = reasons.get(reason, 0) + 1
    for record in world.ledger.records.values():
        reasons[record.reason] = reasons.get(record.reason, 0) + 1
    return Result(
        world.digest,
        len(meters) + len(world.ledger.records),
        sum(meter.connected_ms is not None for meter in meters),
        sum(meter.charged for meter in meters),
        world.database.lost_answers,
        world.time.steps,
        reasons,
        world.counts,
    )
