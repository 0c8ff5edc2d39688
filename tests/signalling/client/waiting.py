"""To wait for what no event announces."""

import asyncio
from collections.abc import Callable


async def until(seen: Callable[[], object], timeout_s: float = 10) -> None:
    async with asyncio.timeout(timeout_s):
        while not seen():  # noqa: ASYNC110 (levels and counters have no event of their own)
            await asyncio.sleep(0.01)
