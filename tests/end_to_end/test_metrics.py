"""The figures of a server after a real call: they say what happened, in well-formed names."""

import asyncio
import re
from pathlib import Path
from uuid import uuid4

from prometheus_client.parser import text_string_to_metric_families

from tests.end_to_end.conftest import FastServer
from tests.end_to_end.driver import ROOT, WAIT_S, Site, connect_call
from tests.end_to_end.test_paid_call import pair
from tests.server.running import development, running

UNITS = ("_seconds", "_minor", "_bytes", "_works", "_info")
# Gauges and counters of things, which have no unit.
THINGS = re.compile(
    r"talktime_(\w+_(connections|connected|active|waiting|failed|size|idle)|calls_\w+|meter_ticks|"
    r"media_legs|turn_sessions_ended|jobs_done|otp_sent|pushes|webhooks|payments_completed|"
    r"webhook_news_dropped|call_journals_dropped|webhook_tries|ready|nodes|nodes_fenced|"
    r"sessions_resumed|bus_healthy|bus_gaps|"
    r"(bus|link|spare)_parcels_\w+)"
)


async def scrape(site: Site) -> dict[str, float]:
    """Every sample by its line, as in `name{label="value"}`, without labels that are empty."""
    async with site.http.get(f"{site.url}/metrics") as answer:
        assert answer.status == 200
        text = await answer.text()
    return {
        sample.name
        + (
            ""
            if not sample.labels
            else "{" + ",".join(f"{k}={v}" for k, v in sample.labels.items()) + "}"
        ): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_counters_equal_what_happened_in_a_call_of_two_units(fast: FastServer) -> None:
    _, caller, callee = await pair(fast, 1_000)
    before = await scrape(fast.site)
    call = await connect_call(caller, callee)
    await callee.event("call_tick", 2)
    await caller.ok("call_end", call)
    await callee.event("call_ended")
    after = await scrape(fast.site)
    async with asyncio.timeout(WAIT_S):
        # Where the books take long, everybody is told before they are closed.
        while after["talktime_calls_active"]:
            after = await scrape(fast.site)

    def grew(line: str) -> float:
        return after[line] - before.get(line, 0.0)

    assert grew("talktime_calls_started_total{kind=audio}") == 1
    assert grew("talktime_calls_ended_total{reason=hangup}") == 1
    assert grew("talktime_call_setup_seconds_count") == 1
    assert grew("talktime_call_ring_seconds_count") == 1
    assert grew("talktime_meter_ticks_total") == 2
    assert grew("talktime_meter_drift_seconds_count") == 2
    assert grew("talktime_money_charged_minor_total{currency=PTS}") == 240
    # The hold, what was talked, and the end. One charge stands for both units if it comes late.
    assert grew("talktime_ledger_slice_seconds_count") >= 3
    assert grew("talktime_ledger_slice_works_sum") >= 3
    # The money of this test came in through the sandbox, before the first look.
    assert before["talktime_payments_completed_total{gateway=sandbox}"] == 1
    assert before["talktime_webhooks_total{gateway=sandbox,outcome=completed}"] == 1


async def test_every_name_says_its_unit_and_no_label_holds_an_id(fast: FastServer) -> None:
    _, caller, callee = await pair(fast, 1_000)
    call = await connect_call(caller, callee)
    await caller.ok("call_end", call)
    async with fast.site.http.get(f"{fast.site.url}/metrics") as answer:
        families = list(text_string_to_metric_families(await answer.text()))
    names = {family.name for family in families}
    for wanted in (
        "process_resident_memory_bytes",
        "talktime_build_info",
        "talktime_argon2_waiting",
    ):
        assert wanted in names
    for family in families:
        assert family.documentation
        # When a series began is told beside it.
        name = family.name.removesuffix("_created").removesuffix("_total")
        if name.startswith("talktime_"):
            assert name.endswith(UNITS) or THINGS.fullmatch(name), name
        for sample in family.samples:
            for value in sample.labels.values():
                assert not re.search(r"[0-9a-f]{8}-|@|^/[^{]*\d", value), sample


async def test_the_readme_names_figures_that_there_are_also_those_of_several_nodes(
    dsn: str, tmp_path: Path, redis_url: str
) -> None:
    prefix = f"{uuid4().hex[:8]}:"
    config = development(tmp_path, redis_url=redis_url, redis_prefix=prefix)
    async with (
        running(dsn, config) as there,
        running(
            dsn, development(tmp_path, node_name="b", redis_url=redis_url, redis_prefix=prefix)
        ),
    ):
        site = there.site
        await site.device(await site.login("mia@demo.talktime"), "a")
        async with site.http.get(f"{site.url}/metrics") as answer:
            families = list(text_string_to_metric_families(await answer.text()))
        samples = await scrape(site)
    types = {family.name: family.type for family in families}
    there_are = types.keys() | {f"{name}_total" for name in types if types[name] == "counter"}
    named = set(re.findall(r"talktime_\w+", (ROOT / "README.md").read_text()))
    assert len(named) > 10
    assert named <= there_are
    for name in ("calls_adopted", "nodes_fenced", "bus_gaps", "bus_parcels_sent"):
        assert types[f"talktime_{name}"] == "counter"
    for name in ("nodes", "bus_healthy", "bus_rtt_seconds", "hold_age_seconds"):
        assert types[f"talktime_{name}"] == "gauge"
    assert samples["talktime_bus_healthy"] == 1
    assert samples["talktime_sessions_resumed_total{outcome=fresh}"] == 1
    assert samples["talktime_sessions_resumed_total{outcome=refused}"] == 0
    for name in types:
        if name.startswith("talktime_"):
            bare = name.removesuffix("_created").removesuffix("_total")
            assert bare.endswith(UNITS) or THINGS.fullmatch(bare), name
