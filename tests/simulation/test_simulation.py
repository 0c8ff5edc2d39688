import pytest

from tests.simulation.ledger import Ledger
from tests.simulation.run import Result, simulate

SEEDS = 60
GROUP = 10


@pytest.fixture(scope="module")
def results() -> dict[int, Result]:
    return {}


@pytest.mark.parametrize("first", range(1, SEEDS + 1, GROUP))
def test_every_rule_holds_however_people_and_the_ledger_misbehave(
    first: int, results: dict[int, Result]
) -> None:
    for seed in range(first, first + GROUP):
        results[seed] = simulate(seed)


def test_the_seeds_reach_what_matters(results: dict[int, Result]) -> None:
    if len(results) < SEEDS:
        results.update({seed: simulate(seed) for seed in range(1, SEEDS + 1)})
    reasons = {reason for result in results.values() for reason, n in result.reasons.items() if n}
    # A wallet in use is refused before it rings, so nobody is told `unavailable` after it.
    assert reasons >= {
        "busy",
        "cancelled",
        "no_answer",
        "unreachable",
        "connect_failed",
        "hangup",
        "connection_lost",
        "balance_exhausted",
        "max_duration",
        "admin",
        "server_error",
    }
    assert all(result.lost_answers > 0 for result in results.values())
    assert sum(result.charged_minor for result in results.values()) > 0


def test_one_seed_is_one_run() -> None:
    assert simulate(7) == simulate(7)
    assert simulate(7).digest != simulate(8).digest


def test_the_model_notices_books_that_do_not_add_up() -> None:
    ledger = Ledger()
    ledger.open_account(floor=-(2**62))
    account = ledger.open_account(100)
    ledger.check()
    ledger.accounts[account].held = 1
    with pytest.raises(AssertionError):
        ledger.check()
