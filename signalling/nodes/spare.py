"""A spare way for parcels while Redis does not answer: PostgreSQL's NOTIFY.

While Redis is there everything goes by it. A node that Redis does not reach says so to the others
by the spare way, as often as once a second; from then on parcels from and to it go by that way,
first those of the last seconds once more. Who has sockets where is not known then: what is for a
user goes to every node. Of what comes by the two ways each parcel is taken once and in order.
"""

from __future__ import annotations

from asyncio import Task, create_task, sleep, wait
from functools import partial
from time import monotonic
from uuid import UUID

import structlog

from signalling.nodes import frame as frames
from signalling.nodes.bus import Listener
from signalling.nodes.frame import Frame
from signalling.nodes.inbound import Inbound
from signalling.nodes.link import History, Link, Past
from signalling.nodes.notices import STALE_S, Batch, Notices
from signalling.nodes.outgoing import TO_ALL, TO_NODE, TO_USER
from signalling.nodes.redis import RedisBus
from storage.parcels import channel_of

LOOK_S = 0.25
HELLO_S = 1.0
# A node that said so is taken for deaf, and for there, as long as it goes on saying so.
DEAF_S = 3.5
# The spare way is used for so long at least; left after so long, even if it is not empty.
OPEN_S = 1.0
LEAVE_S = 2.0
QUEUE_BYTES = 1 << 20
GAP_S = 2.0
INBOUNDS_MAX = 1_000
NUMBER_BYTES = 8

_log = structlog.get_logger(__name__)


class SpareBus:
    """A `RedisBus` with a spare way beside it; it is a listener only to that bus.

    `healthy` is that of Redis. `spare_dropped` are parcels given up on the spare way.
    """

    def __init__(self, bus: RedisBus, dsn: str) -> None:
        self.address = bus.address
        self.alone = False
        self.spare_received = 0
        self.spare_dropped = 0
        self._bus = bus
        self._listener: Listener
        self._notices = Notices(
            dsn, bus.address, heard=self._heard, pack=self._pack, gave_up=self._dropped
        )
        self._n = 0
        self._history = History()
        self._links: dict[str, Link] = {}
        self._open: dict[str, Link] = {}
        self._inbounds: dict[str, Inbound] = {}
        # Redis does not reach this node; of these others it is known that they know.
        self._away = False
        self._aware: set[str] = set()
        # Nodes that Redis took for gone, and that speak by the spare way.
        self._kept: set[str] = set()
        self._lost_here = self._lost_there = False
        self._gap_s = self._hello_s = float("-inf")
        self._task: Task[None] | None = None

    @property
    def healthy(self) -> bool:
        return self._bus.healthy

    @property
    def spare_sent(self) -> int:
        return self._notices.parcels_sent

    def listen(self, listener: Listener) -> None:
        self._listener = listener
        self._bus.listen(self)

    async def start(self) -> None:
        """Without Redis or PostgreSQL it starts too, and finds them later.

        Raises:
            Misconfigured: Redis is there and refuses this node.
        """
        await self._bus.start()
        self._notices.start()
        self._task = create_task(self._looks(), name="spare bus")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await wait([self._task])
            self._task = None
        await self._notices.stop()
        await self._bus.stop()

    # -- posting

    def post(self, node: str, parcel: bytes) -> None:
        if node == self.address:
            return
        link = self._open.get(node)
        if link is not None:
            self._put(link, self._next(), parcel)
        elif not self._away:
            self._bus.post(node, self._remembered(TO_NODE, node, parcel))

    def post_all(self, parcel: bytes) -> None:
        if not self._away:
            self._bus.post_all(self._remembered(TO_ALL, "", parcel))
        self._put_open(parcel)

    def post_user(self, user_id: UUID, parcel: bytes) -> None:
        if not self._away:
            self._bus.post_user(user_id, self._remembered(TO_USER, str(user_id), parcel))
        self._put_open(parcel)

    def peers(self) -> frozenset[str]:
        return self._bus.peers() | self._kept

    def successors(self) -> tuple[str, ...]:
        return self._bus.successors()

    def drain(self) -> None:
        self._bus.drain()

    def _next(self) -> int:
        self._n += 1
        return self._n

    def _remembered(self, kind: str, target: str, parcel: bytes) -> bytes:
        number = self._next()
        self._history.add(Past(number, kind, target, parcel, monotonic()))
        return number.to_bytes(NUMBER_BYTES, "big") + parcel

    def _put_open(self, parcel: bytes) -> None:
        """The copies for nodes on the spare way; they have the number of what went by Redis."""
        if not self._open:
            return
        if self._away:
            self._next()
        for link in self._open.values():
            self._put(link, self._n, parcel)

    def _put(self, link: Link, number: int, parcel: bytes) -> None:
        room_bytes = QUEUE_BYTES - sum(each.queued_bytes for each in self._open.values())
        if not link.put(number, parcel, monotonic(), room_bytes):
            self._dropped(1)
        self._notices.wake()

    def _dropped(self, count: int) -> None:
        self.spare_dropped += count
        self._lost_there = self._lost_there or count > 0

    # -- which way

    async def _looks(self) -> None:
        while True:
            try:
                self._look(monotonic())
            except Exception:
                _log.exception("spare_look_failed")
            await sleep(LOOK_S)

    def _look(self, now_s: float) -> None:
        away = not self._bus.healthy
        if away != self._away:
            self._away = away
            self._aware.clear()
            for link in self._links.values():
                link.hello = True
            if away:
                self._bus.withdraw()
                _log.warning("spare_way_taken", nodes=len(self._links))
            else:
                _log.info("spare_way_left", dropped=self.spare_dropped)
        due = now_s - self._hello_s > HELLO_S
        if due:
            self._hello_s = now_s
        for link in self._links.values():
            deaf = now_s - link.deaf_s < DEAF_S
            if (self._away or deaf) and not link.spare:
                self._open_link(link, now_s)
            elif link.spare and not self._away and not deaf:
                self._close_link(link, now_s)
            link.hello = link.hello or (due and (self._away or deaf))
        self._look_for_kept(now_s)
        for inbound in self._inbounds.values():
            self._lost_here = inbound.expire(now_s) or self._lost_here
        if any(self._links.values()):
            self._notices.wake()
        self._tell_gap(now_s)

    def _open_link(self, link: Link, now_s: float) -> None:
        self._open[link.node] = link
        for past in link.open(self._history, now_s):
            self._put(link, past.n, past.parcel)
        self._notices.wake()

    def _close_link(self, link: Link, now_s: float) -> None:
        """By Redis again, once the spare way has taken what it was given, if it is quick."""
        if link.leaving_s is None:
            link.leaving_s = now_s
        if now_s - link.since_s < OPEN_S:
            return
        if not self._notices.connected:
            self._dropped(link.drop_older_than(now_s))
        elif (link.queued_bytes or self._notices.sending) and now_s - link.leaving_s < LEAVE_S:
            return
        del self._open[link.node]
        link.close(now_s)

    def _look_for_kept(self, now_s: float) -> None:
        for node in list(self._kept):
            if now_s - self._links[node].heard_s > DEAF_S:
                self._kept.discard(node)
                self._gone(node)

    def _tell_gap(self, now_s: float) -> None:
        """What others sent is missing: at once. What this node could not send: when it can."""
        lost = self._lost_here or (self._lost_there and not self._open)
        if lost and now_s - self._gap_s > GAP_S:
            self._gap_s = now_s
            self._lost_here = False
            self._lost_there = self._lost_there and bool(self._open)
            self._listener.gap()

    # -- the spare way

    def _pack(self, most: int) -> Batch | None:
        now_s = monotonic()
        notices: list[tuple[str, str]] = []
        count = 0
        for link in list(self._links.values()):
            self._dropped(link.drop_older_than(now_s - STALE_S))
            while link and len(notices) < most:
                items, last = link.take()
                deaf = now_s - link.deaf_s < DEAF_S
                frame = Frame(self.address, self._away, deaf and link.spare, last, items)
                notices.append((link.channel, frames.encode(frame)))
                count += sum(item.completes for item in items)
        # Whoever had no room comes first the next time.
        if len(notices) >= most and len(self._links) > 1:
            first = next(iter(self._links))
            self._links[first] = self._links.pop(first)
        return Batch(notices, count, now_s) if notices else None

    def _heard(self, text: str) -> None:
        try:
            frame = frames.decode(text)
        except ValueError:
            _log.error("a frame that cannot be read")
            return
        now_s = monotonic()
        inbound = self._inbound(frame.sender)
        for item in frame.items:
            self.spare_received += item.completes
            self._lost_here = inbound.by_spare(item, now_s) or self._lost_here
            if not item.parts:
                self._aware.discard(frame.sender)
        if frame.last:
            self._lost_here = inbound.reached(frame.last) or self._lost_here
        if frame.you_deaf and self._away:
            self._aware.add(frame.sender)
        link = self._links.get(frame.sender)
        if link is None:
            return
        link.heard_s = now_s
        if frame.deaf:
            if now_s - link.deaf_s >= DEAF_S:
                link.hello = True  # It wants to know that it was heard.
                self._notices.wake()
            link.deaf_s = now_s
            if not link.spare:
                self._open_link(link, now_s)
        else:
            link.deaf_s = float("-inf")

    def _inbound(self, sender: str) -> Inbound:
        known = self._inbounds.get(sender)
        if known is None:
            known = Inbound(partial(self._deliver, sender))
            self._inbounds[sender] = known
            if len(self._inbounds) > INBOUNDS_MAX:
                for node in self._inbounds:
                    if node not in self._links and node != sender:
                        del self._inbounds[node]
                        break
        return known

    def _deliver(self, sender: str, parcel: bytes) -> None:
        """A listener that raises must not cost the parcels behind this one."""
        try:
            self._listener.parcel(sender, parcel)
        except Exception:
            _log.exception("bus_listener_failed", heard="parcel")

    # -- what Redis says

    def parcel(self, sender: str, parcel: bytes) -> None:
        number = int.from_bytes(parcel[:NUMBER_BYTES], "big")
        lost = self._inbound(sender).by_redis(number, parcel[NUMBER_BYTES:], monotonic())
        self._lost_here = lost or self._lost_here

    def joined(self, node: str) -> None:
        if node in self._kept:
            self._kept.discard(node)
            return
        if node not in self._links:
            self._links[node] = Link(node, channel_of(node), self._n)
        self._listener.joined(node)

    def left(self, node: str) -> None:
        link = self._links.get(node)
        if link is not None and monotonic() - link.heard_s < DEAF_S:
            self._kept.add(node)
            return
        self._gone(node)

    def _gone(self, node: str) -> None:
        self._links.pop(node, None)
        self._open.pop(node, None)
        self._aware.discard(node)
        self._listener.left(node)

    def gap(self) -> None:
        """Redis has lost something: if all others have sent by the spare way what could be
        missing, and it has told of no loss, it is nobody's."""
        peers = self.peers()
        if self._away and peers and peers <= self._aware:
            return
        self._listener.gap()
