"""Media hooks around the real engine: what a signed one does, and that no other does anything."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec
import pytest

from rest.http.body import BODY_BYTES_MAX
from rest.http.signature import sign
from rest.media.routes import SIGNATURE_HEADER, MediaRoutes, read_hook
from storage.ids import new_id
from storage.pool import Pool
from tests.rest.conftest import Start
from tests.rest.harness import Answer, Rest
from tests.signalling.handsets import Handset
from tests.signalling.harness import Node

SECRET = b"what we and our media server know"
OTHER = b"what another server thinks we know"


@dataclass(slots=True)
class Studio:
    """Two handsets in an answered call, and the media server's way in."""

    rest: Rest
    node: Node
    caller: Handset
    callee: Handset
    call: str

    async def hook(
        self,
        kind: str,
        raw: bytes = b"{}",
        *,
        secret: bytes = SECRET,
        late_s: int = 0,
        call: str | None = None,
    ) -> Answer:
        header = sign(secret, raw, self.node.time() // 1000 - late_s)
        path = f"/sfu/calls/{call or self.call}/{kind}"
        return await self.rest.call("POST", path, raw=raw, headers={SIGNATURE_HEADER: header})

    def state(self) -> str:
        host = self.node.registry.hosts()[0]
        return host.call.state.value


@pytest.fixture
async def node(pool: Pool) -> AsyncIterator[Node]:
    started = await Node.start(pool)
    yield started
    await started.stop()


@pytest.fixture
async def studio(start: Start, node: Node) -> Studio:
    ann, kai = await node.person("Ann", funds=1_000), await node.provider("Kai", price=120)
    phone, desk = await node.handset(ann), await node.handset(kai, "desk")
    opened = await phone.ok("call_request", toUserId=str(kai.id))
    call = opened["call"]["id"]
    await desk.ok("call_accept", call=call)
    rest = await start(MediaRoutes(node.routed, secret=SECRET, clock=node.time))
    return Studio(rest, node, phone, desk, call)


async def test_a_signed_hook_connects_an_answered_call_and_the_meter_starts(
    studio: Studio,
) -> None:
    answer = await studio.hook("connected")
    assert answer.status == 200
    assert answer.body == {"success": True, "callId": studio.call, "state": "connected"}
    await studio.node.quiet()
    for handset in (studio.caller, studio.callee):
        assert len(handset.told("call_connected")) == 1
        assert [tick["data"]["total"] for tick in handset.told("call_tick")] == [120]


async def test_rtp_hooks_alone_keep_a_call_going_without_a_report_of_its_legs(
    studio: Studio,
) -> None:
    await studio.hook("connected")
    for _ in range(4):
        await studio.node.passes(20_000)
        answer = await studio.hook("rtp", b"")
        assert answer.body["state"] == "connected"
    assert studio.caller.told("call_reconnecting") == []
    assert [tick["data"]["total"] for tick in studio.caller.told("call_tick")] == [120, 240]


async def test_the_end_of_the_media_stops_the_meter_until_both_legs_are_back(
    studio: Studio,
) -> None:
    await studio.hook("connected")
    answer = await studio.hook("end", b'{"reason":"room closed"}')
    assert answer.body["state"] == "reconnecting"
    told = studio.callee.told("call_reconnecting")
    assert [(event["data"]["leg"], event["data"]["why"]) for event in told] == [
        ("caller", "hook"),
        ("callee", "hook"),
    ]
    await studio.caller.ok("media_connected", call=studio.call)
    assert studio.state() == "reconnecting"
    await studio.callee.ok("media_connected", call=studio.call)
    assert studio.state() == "connected"


async def test_late_news_of_an_ended_call_change_nothing(studio: Studio) -> None:
    await studio.hook("connected")
    ended = await studio.caller.ok("call_end", call=studio.call)
    await studio.node.quiet()
    for kind in ("end", "rtp", "connected"):
        answer = await studio.hook(kind)
        assert (answer.status, answer.body["state"]) == (200, "ended")
    final = await studio.caller.ok("call_end", call=studio.call)
    assert final["final"] == ended["final"]


async def test_a_call_that_nobody_has_answered_takes_no_hook(studio: Studio, node: Node) -> None:
    bob, lea = await node.person("Bob", funds=500), await node.provider("Lea")
    phone = await node.handset(bob)
    await node.handset(lea)
    opened = await phone.ok("call_request", toUserId=str(lea.id))
    answer = await studio.hook("connected", call=opened["call"]["id"])
    assert (answer.status, answer.error) == (409, "WRONG_STATE")


async def test_an_unknown_call_is_not_found(studio: Studio) -> None:
    answer = await studio.hook("rtp", call=str(new_id()))
    assert (answer.status, answer.error) == (404, "CALL_NOT_FOUND")


@pytest.mark.parametrize("late_s", [-300, 300])
async def test_five_minutes_of_clock_difference_are_forgiven(studio: Studio, late_s: int) -> None:
    assert (await studio.hook("connected", late_s=late_s)).status == 200


@pytest.mark.parametrize("late_s", [-301, 301])
async def test_older_and_future_hooks_do_nothing(studio: Studio, late_s: int) -> None:
    answer = await studio.hook("connected", late_s=late_s)
    assert (answer.status, answer.error) == (401, "INVALID_SIGNATURE")
    assert studio.state() == "accepted"


async def test_a_hook_signed_by_somebody_else_does_nothing(studio: Studio) -> None:
    answer = await studio.hook("connected", secret=OTHER)
    assert (answer.status, answer.error) == (401, "INVALID_SIGNATURE")
    assert answer.headers["www-authenticate"] == SIGNATURE_HEADER
    assert studio.state() == "accepted"


@pytest.mark.parametrize("header", [None, "", "v1=00", "t=1,v1=" + "0" * 64, "t=x,v1=y"])
async def test_a_hook_without_a_whole_signature_does_nothing(
    studio: Studio, header: str | None
) -> None:
    headers = {} if header is None else {SIGNATURE_HEADER: header}
    path = f"/sfu/calls/{studio.call}/connected"
    answer = await studio.rest.call("POST", path, raw=b"{}", headers=headers)
    assert (answer.status, answer.error) == (401, "INVALID_SIGNATURE")
    assert studio.state() == "accepted"


async def test_the_signature_is_of_these_very_bytes(studio: Studio) -> None:
    header = sign(SECRET, b'{"reason":"a"}', studio.node.time() // 1000)
    path = f"/sfu/calls/{studio.call}/connected"
    answer = await studio.rest.call(
        "POST", path, raw=b'{"reason":"b"}', headers={SIGNATURE_HEADER: header}
    )
    assert answer.status == 401
    assert studio.state() == "accepted"


async def test_an_access_token_is_no_signature(studio: Studio) -> None:
    person = await studio.rest.person(roles=("customer", "admin"))
    path = f"/sfu/calls/{studio.call}/end"
    answer = await studio.rest.call("POST", path, raw=b"{}", by=person)
    assert (answer.status, answer.error) == (401, "INVALID_SIGNATURE")


async def test_a_hook_that_names_its_call_is_good_for_no_other_one(studio: Studio) -> None:
    raw = msgspec.json.encode({"callId": str(new_id()), "timestamp": 1_800_000_000_000})
    answer = await studio.hook("connected", raw)
    assert (answer.status, answer.error) == (400, "INVALID_PAYLOAD")
    assert studio.state() == "accepted"
    named = msgspec.json.encode({"callId": studio.call, "timestamp": "2027-01-15T08:00:00Z"})
    assert (await studio.hook("connected", named)).status == 200


@pytest.mark.parametrize(
    "raw", [b"[]", b"{", b'"\xff"', b'{"reason":1}', b'{"why":"?"}', b"[" * 60_000]
)
async def test_a_signed_body_that_makes_no_sense_does_nothing(studio: Studio, raw: bytes) -> None:
    answer = await studio.hook("connected", raw)
    assert (answer.status, answer.error) == (400, "INVALID_PAYLOAD")
    assert studio.state() == "accepted"


async def test_a_body_beyond_the_limit_is_not_even_read(studio: Studio) -> None:
    answer = await studio.hook("connected", b" " * (BODY_BYTES_MAX + 1))
    assert (answer.status, answer.error) == (413, "TOO_LARGE")


async def test_without_a_secret_nobody_is_let_in(start: Start, studio: Studio) -> None:
    studio.rest = await start(MediaRoutes(studio.node.routed, secret=b"", clock=studio.node.time))
    assert (await studio.hook("connected", secret=b"")).status == 401


def test_an_empty_body_says_nothing_more() -> None:
    assert read_hook(b"").reason is None
