"""The Redis twins: nodes that share one Redis (7.2 or newer, or Valkey; not a Redis Cluster).

Each life of a node has a mailbox, a stream that it makes itself; its entries are numbered without
a hole, so a node knows when something is missing. Every second a node says that it is there and
reads who else is; the scripts in `lua/` say what is kept, and judge time by Redis' own clock.
Outages are waited out: nothing here raises but `where` and a `start` that can never succeed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any
from uuid import UUID

import structlog

from signalling.nodes.bus import Listener, Misconfigured
from signalling.nodes.line import DEADLINE_S, Line, Script, Server
from signalling.nodes.members import Members
from signalling.nodes.outgoing import AWAY, TO_ALL, TO_NODE, TO_USER, Outgoing
from signalling.nodes.questions import Questions
from storage.errors import Unavailable

BLOCK_S = 1.0
BEAT_S = 1.0
SILENCE_S = 4.0
UNHEALTHY_S = 2.5
STALE_S = 5.0
BACKOFF_MIN_S = 0.05
BACKOFF_MAX_S = 1.0
STOP_S = 2.0
KEEP_S = 60
USER_KEEP_S = 3600
ANNOUNCE_S = 1200.0
MAILBOX_ENTRIES = 20_000
READ_ENTRIES = 100
WHERE_USERS = 1_000
# From one batch to the next; the first after a quiet time goes at once. Calls spread over two busy
# workers take a tenth less CPU, and a tenth more go through; at 2 000 messages a second one waits
# 0.2 ms more.
BATCH_GAP_S = 0.001

_log = structlog.get_logger(__name__)

_BEAT, _POST, _WHERE, _BYE = map(Script, ("beat", "post", "where", "bye"))


class RedisBus:
    """The bus over Redis; `RedisPresence` (in `redis_presence`) goes over the same connections.

    `prefix` keeps deployments on one Redis apart. `parcels_dropped` are those this node gave up
    before they were sent; `rtt_ms` is of the last beat.
    """

    def __init__(self, url: str, address: str, *, prefix: str = "") -> None:
        self.address = address
        self.alone = False
        self.parcels_sent = 0
        self.parcels_received = 0
        self.parcels_dropped = 0
        self.gaps = 0
        self.beats_failed = 0
        self.rtt_ms = 0.0
        self.outgoing = Outgoing()
        self.carried = asyncio.Event()  # Set, and replaced, when a batch has been carried out.
        self.here: dict[UUID, str] = {}
        self._listener: Listener
        self._server = Server(url)
        self._prefix = f"{prefix}tt:"
        self._lines = [Line(self._server) for _ in range(4)]
        self._control, self._writer, self._reader, self._asker = self._lines
        self._questions = Questions(self._ask_again)
        self._members = Members()
        self._draining = False
        # The number of the mailbox and of the last entry read in it.
        self._position: tuple[int, int] | None = None
        self._lost = False
        self._beat_s = self._read_s = self._announced_s = float("-inf")
        self._outage_s: float | None = None
        self._look = asyncio.Event()
        self._wake = asyncio.Event()
        self._up = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def healthy(self) -> bool:
        return monotonic() - min(self._beat_s, self._read_s) < UNHEALTHY_S

    def listen(self, listener: Listener) -> None:
        self._listener = listener

    async def start(self) -> None:
        """Without Redis the node starts too, and is not `healthy` until it has found it.

        Raises:
            Misconfigured: Redis is there and refuses this node.
        """
        await self._beat()
        loops = (self._beats, self._writes, self._reads)
        self._tasks = [
            asyncio.create_task(_for_ever(loop), name=f"bus{loop.__name__}") for loop in loops
        ]

    async def stop(self) -> None:
        """Send what is left, say good-bye, and forget the users of this node."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        self._tasks = []
        for user_id in self.here:
            self.outgoing.user(user_id, AWAY)
        self.here.clear()
        try:
            async with asyncio.timeout(STOP_S):
                while self.outgoing and await self._send():
                    pass
                await self._control.run(_BYE, self._prefix, self.address, MAILBOX_ENTRIES)
        except (Unavailable, Misconfigured, TimeoutError):
            pass  # The others find out by our silence.
        self._beat_s = float("-inf")
        self._position = None
        await self._questions.stop()
        for line in self._lines:
            await line.close()

    def post(self, node: str, parcel: bytes) -> None:
        if node != self.address:
            self._post(TO_NODE, node, parcel)

    def post_all(self, parcel: bytes) -> None:
        self._post(TO_ALL, "", parcel)

    def post_user(self, user_id: UUID, parcel: bytes) -> None:
        self._post(TO_USER, str(user_id), parcel)

    def peers(self) -> frozenset[str]:
        return self._members.peers()

    def successors(self) -> tuple[str, ...]:
        return self._members.successors()

    def drain(self) -> None:
        self._draining = True
        self._look.set()

    def withdraw(self) -> None:
        """Forget the parcels that wait: somebody else brings them to their nodes."""
        self.outgoing.drop_older_than(float("inf"))

    def tell(self, user_id: UUID, stay: str) -> None:
        """What `RedisPresence` has heard of a user: HERE, WAITS or AWAY."""
        if stay == AWAY:
            self.here.pop(user_id, None)
        else:
            self.here[user_id] = stay
        self.outgoing.user(user_id, stay)
        self._wake.set()

    async def ask(self, user_ids: Sequence[UUID]) -> list[frozenset[str]]:
        """The other nodes that have sockets of each user.

        Raises:
            Unavailable: no answer within half a second.
        """
        away = self._outage_s is not None and monotonic() - self._beat_s > UNHEALTHY_S
        if away or self._position is None:
            raise Unavailable("Redis cannot be reached")
        return await self._questions.places(user_ids, DEADLINE_S)

    async def _ask_again(self, user_ids: Sequence[UUID]) -> list[frozenset[str]]:
        try:
            return await self._ask(user_ids)
        except Unavailable:  # The connection may have been cut while nobody asked.
            return await self._ask(user_ids)

    async def _ask(self, user_ids: Sequence[UUID]) -> list[frozenset[str]]:
        found: list[frozenset[str]] = []
        for start in range(0, len(user_ids), WHERE_USERS):
            asked = map(str, user_ids[start : start + WHERE_USERS])
            reply = await self._asker.run(_WHERE, self._prefix, self.address, *asked)
            found += [frozenset(node.decode() for node in nodes) for nodes in reply]
        return found

    def _post(self, kind: str, target: str, parcel: bytes) -> None:
        dropped = self.outgoing.post(kind, target, parcel, monotonic())
        if dropped:
            self._drop(dropped)
        self._wake.set()

    def _drop(self, parcels: int) -> None:
        self.parcels_dropped += parcels
        self._lost = True
        self._look.set()

    def _tell(self, hear: Any, *given: Any) -> None:
        """A listener that raises is a fault of ours, but not the end of the bus."""
        try:
            hear(*given)
        except Exception:
            _log.exception("bus_listener_failed", heard=hear.__name__)

    # -- the beat: who is there, and the only place that decides what was lost

    async def _beats(self) -> None:
        failures = 0
        while True:
            if failures:
                await asyncio.sleep(_backoff_s(failures))
            else:
                await _wait(self._look, BEAT_S)
            self._look.clear()
            try:
                failures = 0 if await self._beat() else failures + 1
            except Misconfigured as error:
                failures += 1
                self._failed(str(error))

    async def _beat(self) -> bool:
        asked_s = monotonic()
        first = self._position is None
        try:
            number, listed = await self._control.run(
                _BEAT,
                *(self._prefix, self.address, int(not self._draining), int(first)),
                *(int(SILENCE_S * 1000), KEEP_S * 1000, MAILBOX_ENTRIES),
            )
        except Unavailable as error:
            self._failed(error.message)
            return False
        now_s = self._beat_s = monotonic()
        if first:
            self._read_s = now_s
        self.rtt_ms = (now_s - asked_s) * 1000
        nodes = {
            node.decode(): accepting == b"1"
            for node, accepting in zip(listed[::2], listed[1::2], strict=True)
        }
        nodes.pop(self.address, None)
        self._took_up(int(number), first, now_s)
        changes = self._members.update(nodes, asked_s, now_s)
        for node in changes.joined:
            self._tell(self._listener.joined, node)
        for node in changes.left:
            self._tell(self._listener.left, node)
        if self._lost:
            self._lost = False
            self.gaps += 1
            self._tell(self._listener.gap)
        self._up.set()
        return True

    def _failed(self, why: str) -> None:
        self.beats_failed += 1
        self._up.clear()
        if self._outage_s is None:
            self._outage_s = monotonic()
            _log.warning("redis_unreachable", redis=self._server.name, error=why)

    def _took_up(self, number: int, first: bool, now_s: float) -> None:
        """Redis has answered: is the mailbox the same, and what has become too old to send?"""
        renewed = self._position is None or self._position[0] != number
        if renewed:
            self._position = (number, 1)
            self._lost = self._lost or not first
        if renewed or now_s - self._announced_s > ANNOUNCE_S:
            self._announced_s = now_s
            for user_id, stay in self.here.items():
                self.outgoing.user(user_id, stay)
            self._wake.set()
        dropped = self.outgoing.drop_older_than(now_s - STALE_S)
        if dropped:
            self._drop(dropped)
        if (renewed and not first) or self._outage_s is not None:
            self._members.spare_until(now_s + SILENCE_S)
        if self._outage_s is not None:
            lasted_s = round(now_s - self._outage_s, 1)
            self._outage_s = None
            _log.info("redis_back", redis=self._server.name, after_s=lasted_s, dropped=dropped)

    # -- the writer

    async def _writes(self) -> None:
        failures = 0
        next_s = 0.0
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self.outgoing:
                gap_s = next_s - monotonic()
                if gap_s > 0:
                    await asyncio.sleep(gap_s)
                next_s = monotonic() + BATCH_GAP_S
                if await self._send():
                    failures = 0
                    continue
                failures += 1
                self._up.clear()
                self._look.set()
                await asyncio.sleep(_backoff_s(failures))
                await self._up.wait()

    async def _send(self) -> bool:
        """One batch. False if it was not carried out, as far as we know."""
        batch = self.outgoing.batch()
        if batch is None:
            return True
        try:
            carried_out: int = await self._writer.run(
                _POST,
                *(self._prefix, self.address, batch.number, MAILBOX_ENTRIES, USER_KEEP_S),
                *batch.arguments(),
            )
        except (Unavailable, Misconfigured):
            return False
        if carried_out:
            self.outgoing.done(batch)
            self.carried.set()
            self.carried = asyncio.Event()
            self.parcels_sent += len(batch.parcels)
        return bool(carried_out)

    # -- the reader

    async def _reads(self) -> None:
        box = f"{self._prefix}node:{self.address}"
        read = ("XREAD", "COUNT", READ_ENTRIES, "BLOCK", int(BLOCK_S * 1000), "STREAMS", box)
        failures = 0
        while True:
            issued = self._position
            if issued is None:
                await self._up.wait()
                continue
            try:
                after = f"{issued[0]}-{issued[1]}"
                reply = await self._reader.call(*read, after, deadline_s=BLOCK_S + DEADLINE_S)
            except (Unavailable, Misconfigured):
                failures += 1
                self._look.set()
                await asyncio.sleep(_backoff_s(failures))
                continue
            failures = 0
            self._read_s = monotonic()
            entries = reply[0][1] if reply else ()
            for number, (entry, fields) in enumerate(entries):
                if number:
                    await asyncio.sleep(0)  # However much has come, the loop has other work too.
                if not self._took(entry, fields):
                    await asyncio.sleep(BACKOFF_MIN_S)  # The beat finds out what is the matter.
                    break

    def _took(self, entry: bytes, fields: list[bytes]) -> bool:
        """Hand an entry's parcels over. False if it is not of the mailbox that we know of."""
        number, _, index_text = entry.partition(b"-")
        assert self._position is not None
        if int(number) != self._position[0]:
            self._look.set()
            return False
        index = int(index_text)
        if index <= self._position[1]:
            return True
        if index != self._position[1] + 1:
            self._lost = True
            self._look.set()
        self._position = (self._position[0], index)
        sender = fields[1].decode()
        if len(fields) == 2:  # No parcel: somebody has come, gone or is about to go.
            self._look.set()
            return True
        if self._members.met(sender, monotonic()):
            self._tell(self._listener.joined, sender)
        for parcel in fields[3::2]:
            self.parcels_received += 1
            self._tell(self._listener.parcel, sender, parcel)
        return True


async def _for_ever(loop: Callable[[], Awaitable[None]]) -> None:
    """A fault of ours in a loop is told, and is not its end."""
    while True:
        try:
            await loop()
        except Exception:
            _log.exception("bus_loop_failed", loop=loop.__name__)
            await asyncio.sleep(BACKOFF_MAX_S)


def _backoff_s(failures: int) -> float:
    return min(BACKOFF_MIN_S * 2.0 ** min(failures - 1, 10), BACKOFF_MAX_S)


async def _wait(event: asyncio.Event, timeout_s: float) -> None:
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
