"""What only the memory twins have; what both have is in test_twins.py."""

from uuid import UUID

from signalling.nodes.memory import MemoryBus, MemoryPresence, Space

ANN = UUID(int=1)


async def test_asking_after_strangers_remembers_nobody() -> None:
    space = Space()
    bus, presence = MemoryBus(space, "west.1"), MemoryPresence(space, "west.1")
    space.nodes["west.1"] = bus
    presence.left(ANN)
    assert await presence.where([ANN]) == [frozenset()]
    assert not space.users


def test_a_node_that_has_left_leaves_no_user_behind() -> None:
    space = Space()
    space.nodes["west.1"] = MemoryBus(space, "west.1")
    MemoryPresence(space, "west.1").arrived(ANN)
    space.leave("west.1")
    space.leave("west.1")
    assert not space.users
