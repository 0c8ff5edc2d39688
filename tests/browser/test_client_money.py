"""What calls cost, as the client tells it."""

from __future__ import annotations

import pytest

from tests.browser.chromium import Visitors
from tests.browser.clients import KAI, MIA, connect, handset

pytestmark = pytest.mark.chromium


async def test_a_call_ends_with_the_money_and_a_top_up_in_time_makes_it_longer(
    people: Visitors,
) -> None:
    mia, kai = await handset(people, MIA), await handset(people, KAI)
    await kai.run("api.put('/otomo/profile', { pricePerMinute: 400 })")
    await connect(mia, kai)
    assert (await mia.call())["tariff"]["pricePerMinute"] > 0
    await mia.until("s.call.tick?.unit === 1 && s.call.meter.balance === 600")
    ends_at = await mia.until("s.call.low?.endsAt")
    await mia.run("topUp(400)")
    assert await mia.until(f"s.call.low === null || s.call.low.endsAt > {ends_at}")
    await mia.until("s.call.tick.unit === 3 && s.call.tick.status === 'last'")
    for each in (mia, kai):
        await each.until_call("ended")
        call = await each.call()
        assert (call["reason"], call["by"]) == ("balance_exhausted", "server")
        assert (call["final"]["units"], call["final"]["total"]) == (3, 1_200)
        assert (call["tick"]["unit"], call["meter"]["charged"]) == (3, 1_200)
        assert call["meter"].get("balance") == (200 if each is mia else None)
    earned = "events.find((e) => e.type === 'wallet_updated')?.data.earnings"
    assert await kai.until(earned) == 840

    refused = await mia.run(
        "client.request(it).catch((e) => [e.name, e.code, e.details])", await kai.user_id()
    )
    assert refused == ["CommandError", "insufficient_funds", {"required": 400, "available": 200}]
