"""TURN against a real coturn: who gets credentials, what they open, and when it is over."""

import base64
import hashlib
import hmac
import time
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from uuid import uuid4

import pytest
from aioice import stun

from server.coturn import CoturnFault, console
from signalling.turn import ice_servers
from tests.end_to_end.conftest import FastServer
from tests.end_to_end.coturn import HOST, Coturn, coturn
from tests.end_to_end.driver import Json, connect_call
from tests.end_to_end.test_paid_call import pair
from tests.server.running import Running, development, running

pytestmark = pytest.mark.coturn

MIA, KAI, ADA = (f"{name}@demo.talktime" for name in ("mia", "kai", "ada"))
FORBIDDEN = (
    "0.0.0.1",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.2",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.0.8",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::1",
    "fd00::1",
    "fe80::1",
    "ff02::1",
)


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Coturn]:
    """One whose allocations must be refreshed every two seconds."""
    async with coturn(tmp_path, max_allocate_lifetime=2, stale_nonce=3) as there:
        yield there


@pytest.fixture
async def there(relay: Coturn, dsn: str, tmp_path: Path) -> AsyncIterator[Running]:
    """A server whose credentials last three seconds, less than any setting allows."""
    config = development(tmp_path / "data", **relay.settings())
    async with running(dsn, config.model_copy(update={"turn_ttl_s": 3})) as server:
        yield server


def turn_of(servers: list[Json]) -> Json:
    [server] = [each for each in servers if "credential" in each]
    return server


def made_for(relay: Coturn, *, ttl_s: int = 60) -> Json:
    """Credentials made now that end in `ttl_s`."""
    now_ms = int(time.time() * 1_000) + (ttl_s - 600) * 1_000
    [made] = ice_servers(relay.terms, uuid4(), uuid4(), now_ms)
    return {"urls": made.urls, "username": made.username, "credential": made.credential}


async def test_credentials_open_a_relay_unless_they_are_false_changed_or_over(
    relay: Coturn,
) -> None:
    good = made_for(relay)
    assert await relay.refusal(good) == 0
    assert await relay.refusal(good | {"credential": "AAAA" + good["credential"][4:]}) == 401
    assert await relay.refusal(made_for(relay, ttl_s=-2)) == 401
    expiry, _, whose = good["username"].partition(":")
    longer = good | {"username": f"{int(expiry) + 3_600}:{whose}"}
    assert await relay.refusal(longer) == 401
    assert await relay.refusal(good | {"credential": made_for(relay)["credential"]}) == 401


async def test_a_relay_leads_to_no_address_inside_a_network(relay: Coturn) -> None:
    held = await relay.allocate(made_for(relay))
    for address in FORBIDDEN:
        request = stun.Message(
            message_method=stun.Method.CREATE_PERMISSION, message_class=stun.Class.REQUEST
        )
        request.attributes["XOR-PEER-ADDRESS"] = (address, 80)
        with pytest.raises(stun.TransactionFailed) as refused:
            await held.turn.request_with_retry(request)
        # 443: a relay with an IPv4 address has no IPv6 peers at all.
        v6 = ip_address(address).version == 6
        assert refused.value.response.error_code == (443 if v6 else 403), address


async def test_one_leg_makes_no_more_relays_than_it_can_need(relay: Coturn) -> None:
    leg = made_for(relay)
    for _ in range(12):
        await relay.allocate(leg)
    assert await relay.refusal(leg) == 486
    assert await relay.refusal(made_for(relay)) == 0


async def test_only_the_legs_of_a_live_call_get_credentials_and_new_ones_in_time(
    there: Running, relay: Coturn
) -> None:
    site = there.site
    mia, kai, ada = [await site.login(mail) for mail in (MIA, KAI, ADA)]
    caller, callee = await site.device(mia, "phone"), await site.device(kai, "desk")
    watch, tablet = await site.device(mia, "watch"), await site.device(kai, "tablet")
    stranger = await site.device(ada, "laptop")
    asked = await caller.ok("call_request", toUserId=callee.user_id)
    call = asked["call"]["id"]
    await callee.event("call_incoming")
    early = await callee.command("ice_servers", call)
    assert early["data"]["code"] == "not_your_leg", "it only rings"
    accepted = await callee.ok("call_accept", call)
    first = [turn_of(given["iceServers"]) for given in (asked, accepted)]
    for device, server in zip((caller, callee), first, strict=True):
        expiry, user, about = server["username"].split(":")
        assert (user, about) == (device.user_id, call)
        assert int(expiry) <= time.time() + 3
        assert await relay.refusal(server) == 0
    for device, code in (
        (stranger, "not_your_call"),
        (watch, "not_your_leg"),
        (tablet, "not_your_leg"),
    ):
        assert (await device.command("ice_servers", call))["data"]["code"] == code

    # After 80 % of their life there are others, told without being asked, to the legs alone.
    pushed = [turn_of((await leg.event("ice_servers"))["iceServers"]) for leg in (caller, callee)]
    for old, new in zip(first, pushed, strict=True):
        assert int(new["username"].split(":")[0]) > int(old["username"].split(":")[0])
    for server in first:
        await relay.until_over(server)
    await caller.event("ice_servers", 2)
    again = turn_of((await caller.ok("ice_servers", call))["iceServers"])
    assert await relay.refusal(again) == 0
    assert watch.all("ice_servers") == tablet.all("ice_servers") == []

    await caller.ok("call_end", call)
    for device in (caller, callee):
        assert (await device.command("ice_servers", call))["data"]["code"] == "call_over"


async def test_coturn_alone_keeps_a_relay_whose_credentials_have_ended(relay: Coturn) -> None:
    """Why a console is needed. When this fails, coturn has learned it: say so in `deploy/`."""
    server = made_for(relay, ttl_s=2)
    held = await relay.allocate(server)
    await relay.until_over(server)
    before = len(relay.said(rf"refreshed.*{server['username']}>, lifetime=[1-9]"))
    await relay.says(rf"refreshed.*{server['username']}>, lifetime=[1-9]", before + 2)
    assert not held.lost.is_set()


async def test_relays_end_with_their_call_though_both_legs_go_on_refreshing_them(
    there: Running, relay: Coturn
) -> None:
    site = there.site
    caller = await site.device(await site.login(MIA), "phone")
    callee = await site.device(await site.login(KAI), "desk")
    call = await connect_call(caller, callee)
    legs = (caller, callee)
    servers = [turn_of((await leg.ok("ice_servers", call))["iceServers"]) for leg in legs]
    held = [await relay.allocate(server) for server in servers]
    other = await relay.allocate(somebody_else(relay))
    # Beyond their credentials, as a call may last much longer than those: nobody is cut off.
    await caller.event("ice_servers", 2)
    assert [await relay.refusal(server) for server in servers] == [401, 401]
    assert not any(each.lost.is_set() for each in held)
    fresh = turn_of((await caller.ok("ice_servers", call))["iceServers"])

    await caller.ok("call_end", call)
    # Made after the end, with credentials that are good for a moment yet.
    late = await relay.allocate(fresh)
    assert await there.server.turn_sessions.sweep() is False
    for each in (*held, late):
        await each.until_lost()
    assert len(relay.said(r"closed .*reason: Forceful shutdown")) == 3
    assert not other.lost.is_set(), "its name says nothing of a call"


def somebody_else(relay: Coturn) -> Json:
    """Credentials with a name that says nothing of a call."""
    name = f"{int(time.time()) + 60}:monitor"
    digest = hmac.new(relay.secret.encode(), name.encode(), hashlib.sha1).digest()
    credential = base64.b64encode(digest).decode()
    return {"urls": [relay.url], "username": name, "credential": credential}


@pytest.fixture
def settings(relay: Coturn, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in relay.settings().items():
        monkeypatch.setenv(f"TALKTIME_{name.upper()}", value)


async def test_relays_end_with_the_money(settings: None, fast: FastServer, relay: Coturn) -> None:
    _, caller, callee = await pair(fast, 120)
    call = await connect_call(caller, callee)
    held = await relay.allocate(turn_of((await callee.ok("ice_servers", call))["iceServers"]))
    ended = await callee.event("call_ended")
    assert ended["reason"] == "balance_exhausted"
    await held.until_lost()
    assert relay.said(rf"closed .*:{call}> .*reason: Forceful shutdown")


async def test_the_console_asks_for_its_password(relay: Coturn) -> None:
    with pytest.raises(CoturnFault, match="refuses the password"):
        async with console(HOST, int(relay.console.rpartition(":")[2]), "not this"):
            pass
