"""What other nodes ask about the calls of this one, and are answered."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any
from uuid import UUID

import msgspec

from signalling.calls.actions import Actions
from signalling.calls.asking import away
from signalling.calls.host import Cause
from signalling.calls.oversight import Oversight
from signalling.calls.registry import Registry
from signalling.codes import By, Code, Refused
from signalling.commands import MediaWish
from signalling.core import inputs
from signalling.core.call import BEFORE_ANSWER
from signalling.core.views import snapshot
from signalling.events import Snapshot
from signalling.nodes import parcels
from signalling.nodes.exchange import Done, Exchange
from signalling.nodes.parcels import AnyQuestion, Survey
from storage.errors import Unavailable

TASKS_MAX = 2_000

_encode = msgspec.json.Encoder().encode


def not_here() -> Refused:
    """Whoever asks is to look again for the node that runs the call."""
    return Refused(Code.NOT_FOUND, "There is no such live call.", field="call")


class Answering:
    """Answers what other nodes ask about the calls of this one.

    `arrived(call_id, user_id, device, node)` is told where a device has a new socket.
    """

    def __init__(
        self,
        *,
        exchange: Exchange,
        registry: Registry,
        actions: Actions,
        oversight: Oversight,
        arrived: Callable[[UUID, UUID, str, str], None],
        clock: Callable[[], int],
    ) -> None:
        self._registry = registry
        self._actions = actions
        self._oversight = oversight
        self._arrived = arrived
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        exchange.answer_with(self.answer)

    def answer(self, node: str, question: AnyQuestion, done: Done) -> None:
        """
        Raises:
            Refused: at once; what is refused later is told to `done`.
        """
        if isinstance(question, Survey):
            done(_encode(self._oversight.here(question.calls, journal=question.journal)))
            return
        actions, call_id, user_id = self._actions, question.call, question.user_id
        match question:
            case parcels.Attach(device=device):
                self._arrived(call_id, user_id, device, node)
                done(_encode(self._look(call_id, user_id, device)))
            case parcels.Look(device=viewer):
                done(_encode(self._look(call_id, user_id, viewer)))
            case parcels.Join():
                done(_encode(self._join(node, question)))
            case parcels.Accept(audio=audio, video=video):
                media = MediaWish(audio=audio, video=video)
                done(_encode(actions.accept(user_id, call_id, media=media)))
            case parcels.Reject(reason=reason, note=note):
                done(_encode(actions.reject(user_id, call_id, reason=reason, note=note)))
            case parcels.Hook(kind=kind):
                done(_encode(actions.media_hook(call_id, kind)))
            case parcels.End():
                self._later(actions.end(user_id, call_id), done)
            case parcels.Stop():
                self._later(actions.stop(call_id, By.ADMIN), done)

    def _look(self, call_id: UUID, user_id: UUID, device: str | None) -> Snapshot:
        host = self._registry.find(call_id)
        if host is None:
            raise not_here()
        return snapshot(host.call, host.party(user_id), device, self._clock())

    def _join(self, node: str, question: parcels.Join) -> Snapshot:
        host = self._registry.find(question.call)
        if host is None:
            raise not_here()
        if host.call.state not in BEFORE_ANSWER:
            raise Refused(Code.WRONG_STATE, "The call cannot be joined.")
        user_id, device = question.user_id, question.device
        if host.users() != (question.caller, user_id):
            raise Refused(Code.WRONG_STATE, "The call is not of the other direction.")
        if device is not None:
            self._arrived(host.id, user_id, device, node)
        cause = None if device is None else Cause(user_id, device, question.re)
        host.feed(inputs.Accepted(device, True, question.video), cause)
        return self._look(host.id, user_id, device)

    def _later(self, work: Coroutine[Any, Any, object], done: Done) -> None:
        if len(self._tasks) >= TASKS_MAX:
            work.close()
            raise away()
        task = asyncio.create_task(self._finish(work, done))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self, work: Coroutine[Any, Any, object], done: Done) -> None:
        try:
            done(_encode(await work))
        except Refused as refused:
            done(refused)
        except (Unavailable, TimeoutError):
            done(away())

    async def stop(self) -> None:
        """Let what is being answered finish, for a moment."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=2.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
