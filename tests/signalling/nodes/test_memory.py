"""The memory twins of what lies between nodes."""

from uuid import UUID

from signalling.nodes.bus import Bus, Presence, Routes
from signalling.nodes.memory import MemoryBus, MemoryPresence, MemoryRoutes, Space

ANN, KAI, CALL = UUID(int=1), UUID(int=2), UUID(int=3)


def test_parcels_come_in_order_and_name_their_sender() -> None:
    space, came = Space(), list[tuple[str, bytes]]()
    west: Bus = MemoryBus(space, "west")
    east: Bus = MemoryBus(space, "east")
    west.listen(lambda node, parcel: came.append((node, parcel)))
    east.listen(lambda node, parcel: None)
    east.post("west", b"1")
    east.post("west", b"2")
    assert came == [("east", b"1"), ("east", b"2")]


def test_a_parcel_to_a_node_that_is_gone_is_lost() -> None:
    MemoryBus(Space(), "west").post("east", b"1")


def test_a_node_sees_where_else_a_user_is() -> None:
    space = Space()
    west: Presence = MemoryPresence(space, "west")
    east: Presence = MemoryPresence(space, "east")
    west.arrived(ANN)
    west.arrived(ANN)
    assert (west.elsewhere(ANN), east.elsewhere(ANN)) == ((), ("west",))
    east.arrived(ANN)
    assert west.elsewhere(ANN) == ("east",)
    west.left(ANN)
    assert east.elsewhere(ANN) == ()
    east.left(ANN)
    east.left(ANN)
    assert ANN not in space.users


def test_asking_after_strangers_remembers_nobody() -> None:
    space = Space()
    presence = MemoryPresence(space, "west")
    presence.left(KAI)
    assert presence.elsewhere(KAI) == ()
    assert not space.users


def test_only_the_node_that_hosts_a_call_gives_it_up() -> None:
    space = Space()
    west: Routes = MemoryRoutes(space, "west")
    east: Routes = MemoryRoutes(space, "east")
    west.claim(CALL)
    east.drop(CALL)
    assert east.owner(CALL) == "west"
    west.drop(CALL)
    assert east.owner(CALL) is None
