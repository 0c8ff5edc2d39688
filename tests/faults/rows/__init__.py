"""The rows of the fault matrix, by name."""

from tests.faults.rows import clients, clock, network, nodes, postgres, process, redis
from tests.faults.stage import Row

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        *process.ROWS,
        *postgres.ROWS,
        *network.ROWS,
        *clients.ROWS,
        *clock.ROWS,
        *redis.ROWS,
        *nodes.ROWS,
    )
}
