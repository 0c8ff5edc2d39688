"""Phone numbers that are tried one after the other, with and without an account."""

from signalling.limits import CallLimits
from tests.signalling.conftest import StartNode

NOBODY = "+4917012345"
LIMITS = CallLimits(calls_per_hour_max=3, cooldown_calls=9)


async def test_numbers_with_and_without_an_account_count_alike(start_node: StartNode) -> None:
    node = await start_node(call_limits=LIMITS, rate_minor=100)
    ann, bob = await node.person(funds=5), await node.person("Bob", phone=NOBODY + "99")
    phone, other = await node.handset(ann), await node.handset(bob)
    told = []
    for last in ("99", "98", "99", "98", "99"):
        told.append(await phone.refused("call_request", toPhone=NOBODY + last))
        await node.passes(2_000)
    assert [error["code"] for error in told] == [
        "insufficient_funds",
        "not_found",
        "insufficient_funds",
        "rate_limited",
        "rate_limited",
    ]
    assert 0 < told[-1]["retryAfterMs"] <= 1_200_000
    # Others have a count of their own, and a callee who is named by id is no secret.
    assert (await other.refused("call_request", toPhone=NOBODY + "98"))["code"] == "not_found"
    error = await phone.refused("call_request", toUserId=str(bob.id))
    assert error["code"] == "insufficient_funds"


async def test_after_a_while_there_is_one_more(start_node: StartNode) -> None:
    node = await start_node(call_limits=LIMITS)
    phone = await node.handset(await node.person())
    for code in ("not_found", "not_found", "not_found", "rate_limited"):
        assert (await phone.refused("call_request", toPhone=NOBODY))["code"] == code
        await node.passes(2_000)
    await node.passes(1_200_000)
    for code in ("not_found", "rate_limited"):
        assert (await phone.refused("call_request", toPhone=NOBODY))["code"] == code
