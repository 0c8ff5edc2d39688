"""Questions to other nodes about the calls that they run."""

from uuid import UUID

import msgspec

from signalling.calls.finder import Finder
from signalling.codes import Code, Refused
from signalling.events import Snapshot
from signalling.nodes import parcels
from signalling.nodes.exchange import Exchange
from signalling.nodes.parcels import CallQuestion
from storage.errors import Unavailable

# A call that is passed on, or ends, in this very moment is looked for again.
TRIES = 3

_snapshots: msgspec.json.Decoder[Snapshot] = msgspec.json.Decoder(Snapshot)


def away() -> Refused:
    return Refused(
        Code.UNAVAILABLE, "The call's node does not answer; ask again.", retry_after_ms=500
    )


class Asking:
    """Each finds the node that runs the call first. None: no other node runs it.

    Raises:
        Refused: as the call says; unavailable, its node does not answer.
    """

    def __init__(self, finder: Finder, exchange: Exchange, address: str) -> None:
        self._finder = finder
        self._exchange = exchange
        self._address = address

    async def ask(self, question: CallQuestion, *, timeout_s: float = 2.0) -> bytes | None:
        try:
            for _ in range(TRIES):
                node = await self._finder.find(question.call)
                if node is None or node == self._address:
                    return None
                try:
                    return await self._exchange.ask(node, question, timeout_s=timeout_s)
                except Refused as refused:
                    if refused.code is not Code.NOT_FOUND:
                        raise
                self._finder.wrong(question.call, node)
        except Unavailable:
            pass
        raise away()

    async def look(self, user_id: UUID, call_id: UUID, device: str | None) -> Snapshot | None:
        answer = await self.ask(parcels.Look(call_id, user_id, device))
        return None if answer is None else _snapshots.decode(answer)

    async def join(
        self,
        call_id: UUID,
        user_id: UUID,
        caller: UUID,
        *,
        device: str | None,
        video: bool,
        re: str | None,
    ) -> Snapshot | None:
        """Answer a call of `caller`'s; None if this is not one, or it cannot be answered."""
        try:
            answer = await self.ask(parcels.Join(call_id, user_id, caller, device, video, re))
        except Refused as refused:
            if refused.code is Code.UNAVAILABLE:
                raise
            return None
        return None if answer is None else _snapshots.decode(answer)
