"""The rows whose faults last a moment, seeded and short; `make faults` runs all, and longer."""

import pytest

from tests.faults.rows import ROWS
from tests.faults.stage import perform

SEED = 20_261_125
SHORT = [row.name for row in ROWS.values() if row.short]
PAIRS = 8


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SHORT)
async def test_nothing_is_lost_or_doubled(name: str) -> None:
    row = ROWS[name]
    result = await perform(row, seed=SEED, cycles=row.short, pairs=PAIRS)
    if result.skipped:
        pytest.skip(result.skipped)
    assert result.violations == []
    assert (result.lost, result.doubled) == (0, 0)
    assert result.cycles == row.short
    assert len(result.recovery_s) == row.short
