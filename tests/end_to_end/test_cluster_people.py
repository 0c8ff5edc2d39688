"""People at two nodes that are real processes: they call each other, sleep, and are logged out."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signalling.client.envelope import WireStopped
from signalling.codes import Close
from tests.end_to_end.driver import site
from tests.end_to_end.fleet import Fleet, a_fleet
from tests.end_to_end.test_killed_server import NOTHING, assert_books_hold, left_over
from tests.end_to_end.test_push import SECRET, Operator, sleeping
from tests.end_to_end.test_push import operator as operator
from tests.end_to_end.town import KAI, KAI_HZ, MIA, MIA_HZ

LEA = "lea@demo.talktime"
# Less than the time after which a node looks in the database by itself.
TOLD_S = 5.0


@pytest.fixture
async def fleet(
    tmp_path: Path, dsn: str, redis_url: str, operator: Operator
) -> AsyncIterator[Fleet]:
    push = {
        "TALKTIME_PUSH_WEBHOOK_URL": operator.url,
        "TALKTIME_PUSH_WEBHOOK_SECRET": SECRET,
    }
    async with a_fleet(tmp_path, dsn, redis_url) as there:
        await asyncio.gather(there.start("one", **push), there.start("two", **push))
        yield there
    assert await left_over(dsn) == NOTHING
    await assert_books_hold(dsn)


async def test_two_who_call_each_other_at_once_from_two_nodes_talk(fleet: Fleet) -> None:
    kai = await fleet.handset(KAI, "desk", KAI_HZ, at="one")
    lea = await fleet.handset(LEA, "phone", MIA_HZ, at="two")
    both = (kai, lea)
    for each in both:
        await each.api.top_up(500)
    await fleet.sees("one", lea)
    await fleet.sees("two", kai)
    calls = await asyncio.gather(kai.phone.place(lea.user_id), lea.phone.place(kai.user_id))
    assert calls[0].id == calls[1].id
    assert {call.role for call in calls} == {"caller", "callee"}
    for each in both:
        await each.until_state("connected")
    await kai.hears(MIA_HZ)
    await lea.hears(KAI_HZ)
    ended = await kai.phone.hang_up()
    await lea.until_state("ended")
    assert lea.call.final == ended.final
    spent = sum([500 - (await each.api.balance()).balance for each in both])
    assert spent == ended.final["total"] > 0


async def test_a_sleeping_callee_is_woken_and_answers_at_another_node(
    fleet: Fleet, operator: Operator
) -> None:
    mia = await fleet.handset(MIA, "phone", MIA_HZ, at="one")
    async with site(fleet["two"].url) as there:
        kais = await sleeping(there)
    call = await mia.phone.place(kais["user"]["id"])
    pushed = await operator.push()
    assert pushed["data"]["callId"] == call.id
    kai = await fleet.handset(KAI, "phone", KAI_HZ, at="two")
    welcome = await kai.until_event("welcome")
    assert (welcome.data["call"]["id"], welcome.data["call"]["you"]) == (call.id, "ringing")
    await mia.until_state("ringing")
    await kai.phone.accept()
    for each in (mia, kai):
        await each.until_state("connected")
    await mia.hears(KAI_HZ)
    await kai.hears(MIA_HZ)
    assert (await kai.phone.hang_up()).final["total"] == 120
    await mia.until_state("ended")
    assert operator.pushes.empty()
    assert mia.phone.faults == kai.phone.faults == []


async def test_who_logs_out_at_one_node_is_put_off_the_line_at_the_other(fleet: Fleet) -> None:
    mia = await fleet.handset(MIA, "phone", MIA_HZ, at="two")
    mia.api.url = fleet["one"].url
    await mia.api.request("POST", "/auth/logout", {})
    with pytest.raises(WireStopped) as stopped:
        await mia.phone.until(lambda: False, TOLD_S)
    assert stopped.value.code == Close.REVOKED
