"""What Redis alone knows of presence; what it has in common with its twin is in test_twins.py."""

import pytest

from signalling.nodes import redis_presence
from tests.signalling.nodes.twins import ANN, KAI, Nodes
from tests.valkey import Valkey


async def test_after_a_restart_users_and_waiting_sessions_are_announced_again(
    valkey: Valkey,
) -> None:
    nodes = Nodes(valkey.url)
    west, east = await nodes.start("west.1", "east.1")
    west.presence.arrived(ANN)
    west.presence.waits(KAI)
    await east.sees(ANN, "west.1")
    valkey.restart_empty()
    await east.sees(ANN, "west.1")
    await east.sees(KAI)
    before = len(west.heard.parcels)
    east.bus.post_user(KAI, b"kept")
    await west.heard.until(lambda: len(west.heard.parcels) > before)
    assert west.heard.parcels[-1] == ("east.1", b"kept")
    await nodes.stop()


async def test_who_cannot_be_made_known_is_not_waited_for_for_long(
    valkey: Valkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_presence, "KNOWN_S", 0.02)
    nodes = Nodes(valkey.url)
    west, east = await nodes.start("west.1", "east.1")
    valkey.freeze()
    west.presence.arrived(ANN)
    await west.presence.known(ANN)
    valkey.thaw()
    await east.sees(ANN, "west.1")
    await nodes.stop()
