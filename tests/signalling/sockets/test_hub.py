import asyncio
from collections.abc import Sequence

import pytest

from signalling.codes import Close
from signalling.frames import encode_raw
from signalling.limits import SocketLimits
from signalling.sockets.hub import FORGET_MS, KNOWN_PER_USER_MAX, address_key
from tests.signalling.sockets.conftest import Rig, login, user

EVENT = encode_raw("draining", b"{}", 0)


@pytest.mark.parametrize(
    ("remote", "key"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
        (None, ""),
    ],
)
def test_addresses_are_counted_by_ipv4_or_by_the_64_network(remote: str | None, key: str) -> None:
    assert address_key(remote) == key


async def test_an_event_goes_to_every_device_and_names_the_command_to_one(rig: Rig) -> None:
    phone = await rig.welcomed(1, "phone")
    tablet = await rig.welcomed(1, "tablet")
    await rig.welcomed(2, "phone")
    assert rig.hub.to_user(user(1), EVENT, re=("phone", "c9")) == 2
    assert (await phone.receive())["re"] == "c9"
    assert "re" not in await tablet.receive()
    assert rig.hub.to_user(user(7), EVENT) == 0
    assert rig.hub.count == 3
    assert set(rig.hub.connected_users()) == {user(1), user(2)}


async def test_the_newest_socket_of_a_device_wins_and_the_device_is_not_lost(rig: Rig) -> None:
    first = await rig.welcomed()
    device = rig.hub.get(user(1), "phone")
    second = await rig.welcomed()
    assert rig.hub.get(user(1), "phone") is device
    assert await first.closed() == Close.REPLACED
    await rig.until(lambda: rig.hub.sockets == 1)
    assert rig.desk.lost_devices == []
    assert rig.hub.count == 1
    rig.hub.to_user(user(1), EVENT)
    assert (await second.receive())["seq"] == 2


async def test_many_sockets_of_one_device_at_once_leave_one(rig: Rig) -> None:
    clients = [await rig.connect() for _ in range(8)]
    await asyncio.gather(*(client.hello() for client in clients))
    await rig.until(lambda: rig.hub.sockets == 1)
    assert rig.hub.count == 1
    assert rig.desk.lost_devices == []
    assert rig.hub.to_user(user(1), EVENT) == 1


async def test_a_device_over_the_cap_takes_the_place_of_the_oldest_that_is_not_in_a_call(
    rig: Rig,
) -> None:
    clients = []
    for number in range(5):
        clients.append(await rig.welcomed(1, f"d{number}"))
        rig.clock.now_ms += 1
    in_call = rig.hub.get(user(1), "d0")
    assert in_call is not None
    in_call.in_call = True
    await rig.welcomed(1, "d5")
    assert await clients[1].closed() == Close.REPLACED
    assert rig.desk.lost_devices == [("d1", False)]
    assert [one.id for one in rig.hub.devices(user(1))] == ["d0", "d2", "d3", "d4", "d5"]
    await rig.welcomed(2, "d0")
    await clients[0].in_step()


async def test_a_device_over_the_cap_is_refused_when_all_others_are_in_a_call(rig: Rig) -> None:
    for number in range(5):
        await rig.welcomed(1, f"d{number}")
    for device in rig.hub.devices(user(1)):
        device.in_call = True
    client = await rig.connect()
    await client.send("hello", data={"token": "user:1", "protocol": 1, "device": {"id": "d9"}})
    assert await client.closed() == Close.TOO_MANY_ERRORS
    assert rig.hub.get(user(1), "d9") is None
    assert rig.hub.count == 5


async def test_devices_without_socket_do_not_pile_up(rig: Rig) -> None:
    for number in range(KNOWN_PER_USER_MAX + 3):
        client = await rig.welcomed(1, f"d{number}")
        await client.send("bye")
        await client.closed()
        rig.clock.now_ms += 1
    known = [rig.hub.get(user(1), f"d{number}") for number in range(KNOWN_PER_USER_MAX + 3)]
    assert [one is None for one in known] == [True] * 3 + [False] * KNOWN_PER_USER_MAX


async def test_every_socket_of_a_login_is_closed(rig: Rig) -> None:
    phone = await rig.welcomed(1, "phone")
    tablet = await rig.welcomed(1, "tablet")
    other = await rig.welcomed(2, "phone")
    assert rig.hub.close_session(login(1), Close.REVOKED) == 2
    assert await phone.closed() == Close.REVOKED
    assert await tablet.closed() == Close.REVOKED
    await other.in_step()


class TestSweep:
    async def test_a_silent_socket_is_closed_after_60_s(self, rig: Rig) -> None:
        client = await rig.welcomed()
        rig.clock.now_ms += 59_999
        rig.hub.sweep()
        await client.in_step()
        rig.clock.now_ms += 60_000
        rig.hub.sweep()
        assert await client.closed() == Close.NO_HEARTBEAT
        assert rig.desk.lost_devices == [("phone", False)]

    async def test_in_a_call_after_15_s(self, rig: Rig) -> None:
        client = await rig.welcomed()
        idle = await rig.welcomed(2)
        rig.hub.devices(user(1))[0].in_call = True
        rig.clock.now_ms += 15_000
        rig.hub.sweep()
        assert await client.closed() == Close.NO_HEARTBEAT
        await idle.in_step()

    async def test_websocket_pings_and_pongs_are_signs_of_life(self, rig: Rig) -> None:
        client = await rig.welcomed()
        link = rig.hub.devices(user(1))[0].link
        assert link is not None
        for send in (client.ws.ping, client.ws.pong):
            rig.clock.now_ms += 59_000
            await send()
            await rig.until(lambda: link.heard_ms == rig.clock.now_ms)
            rig.hub.sweep()
        assert rig.hub.count == 1

    async def test_a_device_is_forgotten_10_minutes_after_its_last_socket(self, rig: Rig) -> None:
        for number in (1, 2):
            client = await rig.welcomed(number)
            await client.send("bye")
            await client.closed()
        in_call = rig.hub.get(user(2), "phone")
        assert in_call is not None
        in_call.in_call = True
        rig.clock.now_ms += FORGET_MS - 1
        rig.hub.sweep()
        assert rig.hub.get(user(1), "phone") is not None
        rig.clock.now_ms += 1
        rig.hub.sweep()
        assert rig.hub.get(user(1), "phone") is None
        assert rig.hub.get(user(2), "phone") is in_call

    async def test_the_task_sweeps_by_itself_and_survives_a_fault(
        self, rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        monkeypatch.setattr("signalling.sockets.hub.SWEEP_S", 0.01)
        client = await rig.welcomed()
        sweep, faults = rig.hub._sweep, [RuntimeError("once")]

        def faulty(users: Sequence[int]) -> None:
            if faults:
                raise faults.pop()
            sweep(users)

        monkeypatch.setattr(rig.hub, "_sweep", faulty)
        await rig.hub.start()
        rig.clock.now_ms += 60_000
        assert await client.closed() == Close.NO_HEARTBEAT
        await rig.hub.stop()
        assert "the socket sweep failed" in caplog.text


class TestCloseAll:
    async def test_everybody_is_told_and_then_closed_1012(self, rig: Rig) -> None:
        clients = [await rig.welcomed(number) for number in range(1, 6)]
        mute = await rig.connect()
        leaving = asyncio.create_task(rig.hub.close_all(Close.SERVICE_RESTART, 50, retry_ms=700))
        for client in clients:
            told = await client.receive()
            assert (told["type"], told["data"]) == ("draining", {"retryMs": 700})
            assert await client.closed() == Close.SERVICE_RESTART
        assert await mute.closed() == Close.SERVICE_RESTART
        await leaving
        assert rig.hub.sockets == 0
        assert rig.hub.count == 0
        assert len(rig.desk.lost_devices) == 5

    async def test_with_nobody_it_returns(self, rig: Rig) -> None:
        await rig.hub.close_all(Close.SERVICE_RESTART, 10_000)

    async def test_the_closes_are_spread(self, rig: Rig) -> None:
        for number in range(1, 5):
            await rig.welcomed(number)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        leaving = asyncio.create_task(rig.hub.close_all(Close.SERVICE_RESTART, 200))
        await rig.until(lambda: rig.hub.count == 3)
        assert loop.time() - began_s < 0.1
        await leaving
        assert loop.time() - began_s >= 0.15


async def test_a_desk_that_fails_on_lost_does_not_keep_the_socket(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("lost is broken")

    monkeypatch.setattr(rig.desk, "lost", fail)
    client = await rig.welcomed()
    await client.send("bye")
    assert await client.closed() == 1000
    await rig.until(lambda: rig.hub.sockets == 0)
    assert "telling of a lost device failed" in caplog.text


class TestSmall:
    @pytest.fixture
    def limits(self) -> SocketLimits:
        return SocketLimits(devices_per_user_max=1)

    async def test_one_device_each_means_the_newest(self, rig: Rig) -> None:
        phone = await rig.welcomed(1, "phone")
        tablet = await rig.welcomed(1, "tablet")
        assert await phone.closed() == Close.REPLACED
        await tablet.in_step()
