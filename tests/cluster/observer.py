"""What a phone sees of a deployment in trouble: when which event came, sound, time off the line."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise

from server.station import told
from signalling.client.envelope import Event
from tests.end_to_end.town import Handset

LOOK_S = 0.01
WINDOW_S = 0.2
STEP_S = 30.0


class Observer:
    """Watches one phone. `say` is told a line of each thing that happens to it.

    Moments are those of `time.monotonic`.
    """

    def __init__(self, name: str, handset: Handset, say: Callable[[str], None]) -> None:
        self.name = name
        self.handset = handset
        self._say = say
        self._keep = handset.phone.on_change
        self._events: list[tuple[float, Event]] = []
        self._frames: list[tuple[float, int]] = []
        self._off: list[tuple[float, float]] = []
        self._off_since_s: float | None = None
        handset.phone.on_change = self._happened
        self._task = asyncio.create_task(self._look(), name=f"observer of {name}")

    async def stop(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    def count(self, kind: str) -> int:
        return len(self.handset.all(kind))

    async def event_at(self, kind: str, number: int, wait_s: float = STEP_S) -> float:
        """When the `number`th event of this kind came; it is waited for."""
        await self.handset.phone.until(lambda: self.count(kind) >= number, wait_s)
        return [at_s for at_s, event in self._events if event.type == kind][number - 1]

    def windows(self, from_s: float, to_s: float) -> list[int]:
        """How many packets of sound came in each fifth of a second from one moment to another."""
        marks: list[int] = []
        due_s = from_s
        for at_s, frames in self._frames:
            if at_s >= due_s and due_s <= to_s:
                marks.append(frames)
                due_s += WINDOW_S
        return [later - frames for frames, later in pairwise(marks)]

    def off_ms(self, since_s: float) -> int:
        """For how long there was no socket since then, in all."""
        return round(
            sum(to_s - max(at_s, since_s) for at_s, to_s in self._off if to_s > since_s) * 1_000
        )

    async def is_back(self, connects: int) -> None:
        """It has a socket, and has had more than so many."""
        wire = self.handset.phone.wire
        await self.handset.phone.until(
            lambda: wire.connects > connects and wire.connected.is_set(), STEP_S
        )

    def _happened(self, event: Event) -> None:
        self._keep(event)
        self._events.append((time.monotonic(), event))
        line = told(event)
        if event.type == "welcome" and self.count("welcome") > 1:
            line = f"on line again, at {self.handset.phone.wire.url}"
        if event.type == "draining":
            line = "its node goes away"
        if line:
            self._say(f"{self.name}: {line}")

    async def _look(self) -> None:
        phone = self.handset.phone
        while True:
            now_s = time.monotonic()
            self._frames.append((now_s, phone.sink.frames))
            if phone.wire.connected.is_set():
                if self._off_since_s is not None:
                    self._off.append((self._off_since_s, now_s))
                self._off_since_s = None
            elif self._off_since_s is None:
                self._off_since_s = now_s
            await asyncio.sleep(LOOK_S)
