"""The listener of a node's bus: parcels to whoever handles their kind, questions and answers."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from signalling.codes import Code, Refused
from signalling.nodes import parcels
from signalling.nodes.bus import Bus
from signalling.nodes.parcels import AnyQuestion, Asked, Declined, Parcel, Told
from storage.errors import Unavailable

log = logging.getLogger(__name__)

ASK_S = 2.0
ASKED_MAX = 10_000

Kind = TypeVar("Kind", bound=Parcel)
# Gives the answer with `done(bytes)`, now or later; a refusal with `done(Refused)`.
Done = Callable[[bytes | Refused], None]
Answerer = Callable[[str, AnyQuestion, Done], None]


class Exchange:
    """Parts of the node say with `on` what they handle. A handler must not wait."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus
        self._handlers: dict[type[Any], Callable[[str, Any], None]] = {}
        self._on_joined: list[Callable[[str], None]] = []
        self._on_left: list[Callable[[str], None]] = []
        self._on_gap: list[Callable[[], None]] = []
        self._answerer: Answerer | None = None
        self._asked: dict[int, tuple[str, asyncio.Future[bytes], Callable[[bytes], None]]] = {}
        self._numbers = 0
        bus.listen(self)

    def on(self, kind: type[Kind], handle: Callable[[str, Kind], None]) -> None:
        """`handle(sender, parcel)` is called for each parcel of this kind."""
        self._handlers[kind] = handle

    def on_nodes(
        self,
        *,
        joined: Callable[[str], None] | None = None,
        left: Callable[[str], None] | None = None,
        gap: Callable[[], None] | None = None,
    ) -> None:
        """Hear of nodes that come and go, and of parcels that may have been lost."""
        if joined is not None:
            self._on_joined.append(joined)
        if left is not None:
            self._on_left.append(left)
        if gap is not None:
            self._on_gap.append(gap)

    def answer_with(self, answerer: Answerer) -> None:
        self._answerer = answerer

    def send(self, node: str, parcel: Parcel) -> None:
        self.bus.post(node, parcels.encode(parcel))

    async def ask(
        self,
        node: str,
        question: AnyQuestion,
        *,
        timeout_s: float = ASK_S,
        heard: Callable[[bytes], None] = lambda _: None,
    ) -> bytes:
        """What the node answers. `heard` is called in the very moment the answer comes: parcels
        that came before it have been handled, those that come after it have not.

        Raises:
            Refused: the node says no.
            Unavailable: no answer in time.
        """
        if len(self._asked) >= ASKED_MAX:
            raise Unavailable("too many questions to other nodes wait for their answers")
        self._numbers += 1
        number = self._numbers
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked[number] = (node, future, heard)
        self.send(node, Asked(number, parcels.encode(question)))
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            raise Unavailable(f"node {node} did not answer in time") from None
        finally:
            self._asked.pop(number, None)

    # -- the bus's listener

    def parcel(self, sender: str, parcel: bytes) -> None:
        try:
            given = parcels.decode(parcel)
        except msgspec.DecodeError:
            log.error("a parcel that cannot be read", extra={"node": sender})
            return
        try:
            match given:
                case Asked():
                    self._question(sender, given)
                case Told() | Declined():
                    self._answer(given)
                case _:
                    handle = self._handlers.get(type(given))
                    if handle is not None:
                        handle(sender, given)
        except Exception:
            log.exception("a parcel failed", extra={"node": sender, "parcel": type(given).__name__})

    def joined(self, node: str) -> None:
        log.info("a node has come", extra={"node": node})
        for hear in self._on_joined:
            hear(node)

    def left(self, node: str) -> None:
        log.info("a node has gone", extra={"node": node})
        for hear in self._on_left:
            hear(node)
        gone = [future for asked, future, _ in self._asked.values() if asked == node]
        for future in gone:
            if not future.done():
                future.set_exception(Unavailable(f"node {node} has gone"))

    def gap(self) -> None:
        log.warning("parcels between nodes may have been lost")
        for hear in self._on_gap:
            hear()

    def _question(self, sender: str, asked: Asked) -> None:
        def done(answer: bytes | Refused) -> None:
            if isinstance(answer, Refused):
                self.send(sender, Declined(asked.number, parcels.encode_refusal(answer)))
            else:
                self.send(sender, Told(asked.number, answer))

        if self._answerer is None:
            done(Refused(Code.UNAVAILABLE, "This node answers no questions yet."))
            return
        try:
            self._answerer(sender, parcels.decode_question(asked.question), done)
        except Refused as refused:
            done(refused)

    def _answer(self, given: Told | Declined) -> None:
        _, future, heard = self._asked.get(given.number, (None, None, None))
        if future is None or future.done():
            return
        if isinstance(given, Declined):
            future.set_exception(parcels.decode_refusal(given.refusal))
            return
        if heard is not None:
            heard(given.answer)
        future.set_result(given.answer)
