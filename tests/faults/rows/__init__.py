"""The rows of the fault matrix, by name."""

from tests.faults.rows import clients, clock, network, nodes, postgres, process, redis, resources
from tests.faults.stage import Row

ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        *process.ROWS,
        *resources.ROWS,
        *postgres.ROWS,
        *network.ROWS,
        *clients.ROWS,
        *clock.ROWS,
        *redis.ROWS,
        *nodes.ROWS,
    )
}

# Faults of the matrix that are tried elsewhere, or not.
ELSEWHERE = {
    "F17": "not tried: failover to a standby is the operator's; `talktime ledger verify` after it",
    "F29": "tests of the protocol: unknown fields and types, `version_unsupported`",
    "F36": "not tried: there is no second release yet",
    "F37": "tests/rest/payments: slow, twice, out of order, down",
    "F38": "tests/server/push, tests/rest/auth/sms: provider down, slow, refusing",
    "F39": "not tried: keys change with a restart, see the rows of restarts",
}
