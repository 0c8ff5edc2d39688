"""What the tests of the combiner share."""

import asyncio
from collections.abc import Callable

from storage.combiner import Combiner
from storage.pool import Pool
from storage.works import (
    Outcome,
    Work,
)


async def all_of(combiner: Combiner, *works: Work) -> list[Outcome]:
    """Put works in one turn of the loop; their outcomes in the same order."""
    return list(await asyncio.gather(*map(combiner.do, works)))


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until something has happened that nothing tells of."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


async def blocked_backends(pool: Pool, count: int) -> None:
    """Wait until so many backends wait for a lock."""
    async with asyncio.timeout(5):
        while True:
            waiting: int = await pool.fetchval(
                "select count(*) from pg_locks l join pg_database d on d.oid = l.database "
                "or l.database is null where not l.granted and d.datname = current_database()"
            )
            if waiting >= count:
                return
