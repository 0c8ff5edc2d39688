"""Parcels between the simulated nodes: late, in order per pair of nodes, and lost with a `gap`.

As over Redis, a node that is not heard of for a while is reported as gone and its mailbox with it;
when it comes back it is told of a gap.
"""

from asyncio import timeout
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from uuid import UUID

from signalling.nodes.memory import MemoryBus, MemoryPresence, Space
from signalling.nodes.redis_presence import KNOWN_S
from storage.errors import Unavailable
from tests.simulation.loop import ProcessLoop, Time

SILENCE_MS = 4_000
BEAT_MS = 1_000
KEPT_MAX = 20_000


class Member(MemoryBus):
    """A node's bus. `box` numbers its mailbox; what was sent to an older one never arrives."""

    def __init__(self, space: "SimSpace", address: str, loop: ProcessLoop, number: int) -> None:
        super().__init__(space, address)
        self._sim = space
        self.loop = loop
        self.number = number
        self.box = 0
        self.known: dict[str, bool] = {}
        self.cut = False
        self.dead = False
        self.silences = 0  # how often it has been heard again
        self.users: dict[UUID, None] = {}

    @property
    def healthy(self) -> bool:
        return not self.cut

    async def start(self) -> None:
        self._sim.join(self)

    async def stop(self) -> None:
        self.dead = True
        self._sim.remove(self)

    def peers(self) -> frozenset[str]:
        return frozenset(self.known)

    def successors(self) -> tuple[str, ...]:
        return tuple(sorted(node for node, accepting in self.known.items() if accepting))

    def drain(self) -> None:
        self.draining = True
        self._sim.tell_all(self, lambda other: other.drains(self.address))

    def drains(self, node: str) -> None:
        if node in self.known:
            self.known[node] = False

    def joined(self, node: str, accepting: bool) -> None:
        if node not in self.known:
            self.known[node] = accepting
            self.listener.joined(node)

    def left(self, node: str) -> None:
        if self.known.pop(node, None) is not None:
            self.listener.left(node)


class SimPresence(MemoryPresence):
    def __init__(self, space: "SimSpace", member: Member) -> None:
        super().__init__(space, member.address)
        self._sim = space
        self._member = member

    def arrived(self, user_id: UUID) -> None:
        self._member.users[user_id] = None
        self._sim.later(self._member, lambda: self._sync(user_id))

    async def known(self, user_id: UUID) -> None:
        member = self._member
        with suppress(TimeoutError):
            async with timeout(KNOWN_S):
                while not member.cut and member.address not in self._sim.users.get(user_id, ()):
                    await self._sim.pause(member)

    def left(self, user_id: UUID) -> None:
        self._member.users.pop(user_id, None)
        self._sim.later(self._member, lambda: self._sync(user_id))

    def _sync(self, user_id: UUID) -> None:
        """Redis hears a little later, of what is so then."""
        member = self._member
        if member.dead or member.cut or self._sim.nodes.get(member.address) is not member:
            return
        if user_id in member.users:
            self._sim.users[user_id].add(member.address)
        else:
            self._sim.forget(user_id, member.address)

    async def where(self, user_ids: Sequence[UUID]) -> list[frozenset[str]]:
        await self._sim.pause(self._member)
        if self._member.cut:
            raise Unavailable("Redis does not answer")
        return await super().where(user_ids)


class SimSpace(Space):
    def __init__(self, time: Time, dice: Callable[[str], Random]) -> None:
        super().__init__()
        self._time = time
        self._dice_of = dice
        self._dice = dice("bus")
        self._pairs: dict[tuple[int, int], Random] = {}
        self._last_ms: dict[tuple[int, int], int] = {}
        self._kept: dict[int, list[tuple[Member, str, bytes]]] = {}
        self._away: set[int] = set()  # numbers of nodes that were reported as gone
        self.lost_ms = -1
        self.slow = False

    def carry(self, sender: str, node: str, parcel: bytes) -> None:
        source, target = self.nodes.get(sender), self.nodes.get(node)
        if not isinstance(source, Member) or source.dead or not isinstance(target, Member):
            return
        for member in (source, target):
            if member.cut:
                kept = self._kept.setdefault(member.number, [])
                if len(kept) < KEPT_MAX:
                    kept.append((source, node, parcel))
                return
        pair = (target.number, source.number)
        dice = self._pairs.get(pair)
        if dice is None:
            dice = self._pairs[pair] = self._dice_of(f"pair {pair}")
        delay_ms = dice.randint(1, 4)
        if self.slow and dice.random() < 0.1:
            delay_ms = dice.randint(20, 900)
        at_ms = max(self._time.now_ms + delay_ms, self._last_ms.get(pair, 0))
        self._last_ms[pair] = at_ms
        box = target.box

        def arrive() -> None:
            if target.box == box and not target.dead:
                target.listener.parcel(sender, parcel)

        target.loop.after(at_ms - self._time.now_ms, arrive, rank=(target.number, source.number))

    # -- who is there

    def join(self, member: Member) -> None:
        others = [one for one in self.nodes.values() if isinstance(one, Member)]
        self.nodes[member.address] = member
        self._away.discard(member.number)
        for user_id in member.users:
            self.users[user_id].add(member.address)
        for node in [node for node in member.known if node not in self.nodes]:
            self.later(member, lambda node=node: member.left(node))  # type: ignore[misc]
        for other in others:
            if other is not member:
                self._introduce(other, member)
                self._introduce(member, other)

    def _introduce(self, to: Member, other: Member) -> None:
        def tell() -> None:
            if not other.dead and other.number not in self._away:
                to.joined(other.address, not other.draining)

        self.later(to, tell)

    def remove(self, member: Member) -> None:
        """It has said good-bye, or was silent for too long."""
        if self.nodes.pop(member.address, None) is None:
            return
        member.box += 1
        for user_id in [one for one, at in self.users.items() if member.address in at]:
            self.forget(user_id, member.address)
        self.tell_all(member, lambda other: other.left(member.address))

    def tell_all(self, member: Member, tell: Callable[[Member], None]) -> None:
        for other in list(self.nodes.values()):
            if isinstance(other, Member) and other is not member:
                self.later(other, lambda other=other: tell(other))  # type: ignore[misc]

    def later(self, member: Member, run: Callable[[], None]) -> None:
        """With the node's next beat, or soon."""
        dice = self._dice
        delay_ms = dice.randint(1, 30) if dice.random() < 0.7 else dice.randint(1, BEAT_MS)
        member.loop.after(delay_ms, lambda: None if member.dead else run())

    async def pause(self, member: Member) -> None:
        done = member.loop.create_future()

        def give() -> None:
            if not done.done():
                done.set_result(None)

        member.loop.after(self._dice.randint(1, 3), give)
        await done

    # -- faults

    def killed(self, member: Member) -> None:
        member.dead = True
        self._time.later(SILENCE_MS + self._dice.randint(0, BEAT_MS), lambda: self.remove(member))

    def silent(self, member: Member, ms: int) -> None:
        """Nothing is heard of the node for so long; it is paused, or cut off from Redis."""
        silence_ms = SILENCE_MS + self._dice.randint(0, BEAT_MS)
        if ms < silence_ms:
            return

        silences = member.silences

        def gone() -> None:
            if not member.dead and member.silences == silences:
                self._away.add(member.number)
                self.remove(member)

        self._time.later(silence_ms, gone)

    def heard_again(self, member: Member) -> None:
        """The node beats anew; if it was taken for gone, it has missed what was sent meanwhile."""
        if member.dead:
            return
        member.silences += 1
        kept = self._kept.pop(member.number, [])
        if self.nodes.get(member.address) is member:
            for source, node, parcel in kept:
                self.carry(source.address, node, parcel)
            return
        self._lose(member)
        self.join(member)

    def cut(self, member: Member, ms: int) -> None:
        """The node cannot reach Redis for so long."""
        if member.cut or member.dead:
            return
        member.cut = True
        self.silent(member, ms)

        def back() -> None:
            member.cut = False
            self.heard_again(member)

        self._time.later(ms, back)

    def restart(self) -> None:
        """Redis starts anew, empty: all that is on its way is lost."""
        for member in list(self.nodes.values()):
            if isinstance(member, Member):
                self._lose(member)

    def _lose(self, member: Member) -> None:
        self.lost_ms = self._time.now_ms
        member.box += 1

        def gap() -> None:
            self.lost_ms = self._time.now_ms
            member.listener.gap()

        self.later(member, gap)
