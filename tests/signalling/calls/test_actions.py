"""What users may do with calls, as REST and the sockets ask for it."""

from uuid import UUID

import pytest

from server.people import grant
from signalling.codes import By, Code, Party, Reason, Refused, State
from signalling.commands import CallRequest
from signalling.core import inputs
from signalling.limits import CallLimits
from storage.ids import new_id
from tests.signalling.harness import CURRENCY, START_MS, Node
from tests.signalling.pairs import Pair, make_pair
from tests.storage.world import give_bonus


@pytest.fixture
async def pair(node: Node) -> Pair:
    return await make_pair(node)


async def code_of(awaitable: object) -> Code:
    with pytest.raises(Refused) as caught:
        await awaitable  # type: ignore[misc]
    return caught.value.code


async def test_a_whole_call_by_request_alone(node: Node) -> None:
    ann, kai = await node.person(funds=500), await node.provider()
    actions = node.actions
    wish = CallRequest(to_user_id=kai.id)
    opened = await actions.request(
        caller=ann.id, device="rest", wish=wish, request_id="r1", connect_on="answer"
    )
    assert opened.snapshot.state is State.RINGING
    assert not opened.merged
    live = actions.live_call(kai.id)
    assert live is not None
    assert (live.id, live.you) == (opened.call_id, "ringing")
    view = actions.accept(kai.id, opened.call_id)
    assert (view.state, view.connected_at) == (State.CONNECTED, START_MS)
    await node.passes(61_000)
    final = await actions.end(ann.id, opened.call_id)
    assert (final.total, final.talk_seconds, final.settled) == (200, 61, True)
    assert await actions.end(kai.id, opened.call_id) == final
    ended = actions.snapshot(kai.id, opened.call_id)
    assert ended is not None
    assert (ended.state, ended.final) == (State.ENDED, final)
    assert actions.live_call(ann.id) is None


async def test_only_the_callee_answers(pair: Pair) -> None:
    await pair.ring()
    call_id = UUID(pair.call)
    with pytest.raises(Refused) as caught:
        pair.node.actions.accept(pair.ann.id, call_id)
    assert caught.value.code is Code.FORBIDDEN
    with pytest.raises(Refused) as caught:
        pair.node.actions.reject(pair.ann.id, call_id, reason="declined")
    assert caught.value.code is Code.FORBIDDEN


async def test_a_lock_screen_may_reject_without_a_socket(pair: Pair) -> None:
    await pair.ring()
    view = pair.node.actions.reject(pair.kai.id, UUID(pair.call), reason="away", note="Later")
    assert (view.state, view.reason) == (State.ENDED, Reason.UNAVAILABLE)
    told = await pair.tab.event("call_rejected")
    assert (told["data"]["reason"], told["data"]["note"]) == ("unavailable", "Later")
    assert "re" not in told


async def test_an_answer_after_the_time_is_up_is_refused(pair: Pair) -> None:
    await pair.ring()
    pair.node.time.now_ms += CallLimits().ring_ms
    with pytest.raises(Refused) as caught:
        pair.node.actions.accept(pair.kai.id, UUID(pair.call))
    assert caught.value.code is Code.CALL_OVER
    assert not pair.tab.device.in_call


async def test_strangers_and_unknown_calls(pair: Pair) -> None:
    await pair.accept()
    actions, call_id = pair.node.actions, UUID(pair.call)
    bob = await pair.node.person("Bob")
    assert await code_of(actions.end(bob.id, call_id)) is Code.NOT_YOUR_CALL
    assert await code_of(actions.end(bob.id, new_id())) is Code.NOT_FOUND
    for unknown, code in ((call_id, Code.NOT_YOUR_CALL), (new_id(), Code.NOT_FOUND)):
        with pytest.raises(Refused) as caught:
            actions.ice_servers(bob.id, unknown)
        assert caught.value.code is code
    assert actions.snapshot(pair.ann.id, new_id()) is None
    assert actions.live_call(bob.id) is None
    await pair.phone.ok("call_end", call=pair.call)
    await pair.node.quiet()
    assert actions.snapshot(bob.id, call_id) is None
    assert actions.over(bob.id, call_id).code is Code.NOT_YOUR_CALL
    with pytest.raises(Refused) as caught:
        actions.ice_servers(pair.ann.id, call_id)
    assert caught.value.code is Code.CALL_OVER


async def test_credentials_are_for_the_parties(pair: Pair) -> None:
    await pair.accept()
    _, turn = pair.node.actions.ice_servers(pair.kai.id, UUID(pair.call))
    assert str(turn.username).endswith(f"{pair.kai.id}:{pair.call}")


async def test_who_goes_away_hangs_up_first(pair: Pair) -> None:
    await pair.connect()
    await pair.node.actions.leave(pair.ann.id)
    told = await pair.tab.event("call_ended")
    assert (told["data"]["reason"], told["data"]["by"]) == ("hangup", "caller")
    assert told["data"]["final"]["settled"]
    await pair.node.actions.leave(pair.ann.id)
    await pair.ring()
    await pair.node.actions.leave(pair.kai.id)
    assert (await pair.phone.event("call_rejected"))["data"]["reason"] == "declined"


async def test_the_operator_may_stop_a_call(pair: Pair) -> None:
    await pair.connect()
    ended = await pair.node.actions.stop(UUID(pair.call), By.ADMIN)
    assert (ended.final.total, ended.ended_ms) == (100, pair.node.time())
    told = await pair.tab.event("call_ended")
    assert (told["data"]["reason"], told["data"]["by"]) == ("admin", "admin")
    assert await code_of(pair.node.actions.stop(new_id())) is Code.NOT_FOUND


async def test_the_operators_media_server_may_speak_for_both_legs(pair: Pair) -> None:
    actions = pair.node.actions
    await pair.ring()
    call_id = UUID(pair.call)
    with pytest.raises(Refused) as caught:
        actions.media_hook(call_id, "connected")
    assert caught.value.code is Code.WRONG_STATE
    await pair.tab.ok("call_accept", call=pair.call)
    assert actions.media_hook(call_id, "connected") is State.CONNECTED
    assert actions.media_hook(call_id, "end") is State.RECONNECTING
    told = await pair.phone.event("call_reconnecting")
    assert told["data"]["why"] == "hook"
    await pair.phone.ok("call_end", call=pair.call)
    await pair.node.quiet()
    assert actions.media_hook(call_id, "rtp") is State.ENDED
    with pytest.raises(Refused) as caught:
        actions.media_hook(new_id(), "rtp")
    assert caught.value.code is Code.NOT_FOUND


async def test_money_that_arrives_takes_a_warning_back(pair: Pair) -> None:
    await pair.connect()
    await pair.talk(190_000)
    assert len(pair.phone.told("balance_low")) == 1
    async with pair.node.pool.acquire() as conn, conn.transaction():
        await grant(conn, pair.ann.id, 1_000, CURRENCY, "grant:more")
    pair.node.actions.funded(pair.ann.id)
    await pair.node.passes(1_000)
    taken_back = pair.phone.told("balance_low")[-1]["data"]
    assert (taken_back["withdrawn"], taken_back["endsAt"]) == (True, START_MS + 900_000)


async def test_bonus_that_arrives_in_mid_call_is_spent_by_it(pair: Pair) -> None:
    await pair.connect()
    await pair.talk(10_000)
    async with pair.node.pool.acquire() as conn, conn.transaction():
        account = await give_bonus(conn, pair.ann.id, 1_000)
    pair.node.actions.funded(pair.ann.id, account)
    await pair.talk(70_000)
    held = await pair.node.pool.fetchval("select held from account where id = $1", account)
    assert held > 0


async def test_money_for_somebody_who_does_not_pay_wakes_nothing(pair: Pair) -> None:
    pair.node.actions.funded(pair.ann.id)
    await pair.ring()
    pair.node.actions.funded(pair.ann.id)
    pair.node.actions.funded(pair.kai.id)
    assert pair.host.call.state is State.RINGING


async def test_only_the_device_that_is_the_leg_counts_as_in_a_call(pair: Pair) -> None:
    await pair.request(callId=str(new_id()))
    answer = await pair.watch.ok("call_request", toUserId=str(pair.kai.id), callId=pair.call)
    assert answer["call"]["you"] == "elsewhere"
    assert (pair.phone.device.in_call, pair.watch.device.in_call) == (True, False)


async def test_a_socket_that_is_no_leg_comes_and_goes_unnoticed(pair: Pair) -> None:
    await pair.connect()
    before = pair.host.call
    pair.watch.drop()
    await pair.watch.connect()
    pair.desk.drop(bye=True)
    assert pair.host.call is before
    assert not pair.watch.device.in_call
    pair.host.feed(inputs.HungUp(Party.CALLEE))
    await pair.node.quiet()
    assert not pair.phone.device.in_call


async def test_a_leg_that_was_sent_away_is_not_missed_at_once(pair: Pair) -> None:
    await pair.connect()
    pair.node.hub.renew(pair.tab.device)
    assert (pair.host.call.state, pair.host.call.callee.here) == ("connected", False)
    await pair.tab.connect()
    assert pair.host.call.callee.here
    pair.tab.drop()
    assert pair.host.call.state == "reconnecting"
