"""`figures`: those of one of two real nodes that have done a little of everything."""

from __future__ import annotations

import gc
from pathlib import Path
from uuid import uuid4

import pytest

from server.metrics import Metrics
from tests.deploy.figures import Figures, read_figures
from tests.end_to_end.driver import connect_call
from tests.server.running import development, running


@pytest.fixture
async def figures(dsn: str, tmp_path: Path, redis_url: str) -> Figures:
    prefix = f"{uuid4().hex[:8]}:"
    config = development(tmp_path, redis_url=redis_url, redis_prefix=prefix)
    async with running(dsn, config) as there:
        site = there.site
        ada = await site.login("ada@demo.talktime")
        mia, kai = [
            await site.device(await site.login(f"{name}@demo.talktime"), name)
            for name in ("mia", "kai")
        ]
        call = await connect_call(mia, kai)
        await mia.ok("call_end", call)
        await kai.event("call_ended")
        body = {"query": 'mutation { addJob(message: "Hello") }'}
        assert (await site.ask(ada, "POST", "/graphql", body))[0] == 200
        gc.collect()
        _touch(there.server.metrics)
        async with site.http.get(f"{site.url}/metrics") as answer:
            return read_figures(await answer.text())


def _touch(metrics: Metrics) -> None:
    """What needs services of others is counted by hand: labels show with their first series."""
    metrics.call_adopted("handed")
    metrics.push_went("fcm", "sent")
    metrics.code_sent("sent")
    metrics.gateway_spoke("sandbox", "webhook", "completed")
    metrics.job_done("greet", "done", 0.1)
    metrics.media_legs.labels("direct").inc()
    metrics.media_setup.labels("direct").observe(0.1)
    metrics.jobs_waiting.labels("greet").set(0)
    metrics.jobs_failed.labels("greet").set(0)
