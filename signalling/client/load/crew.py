"""The users of a run, in couples: connected, kept alive, and lent to one call at a time."""

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Sequence
from random import Random

from signalling.client.load.device import Device, Meter, Pair, code_of
from signalling.client.load.line import Address

CONNECTS_AT_ONCE = 50
BEAT_S = 1.0
WATCH_EVERY = 8


class Couple:
    """A caller and the provider they ring; some providers have a second device that watches."""

    def __init__(self, caller: Device, callee: Device, watch: Device | None, *, poor: bool):
        self.caller = caller
        self.callee = callee
        self.watch = watch
        self.poor = poor

    @property
    def devices(self) -> Iterable[Device]:
        return filter(None, (self.caller, self.callee, self.watch))

    @property
    def ready(self) -> bool:
        return self.caller.connected and self.callee.connected


class Crew:
    """All couples of one generator. Who has been free for longest is taken first."""

    def __init__(self, meter: Meter, url: str, pairs: Sequence[Pair], dice: Random) -> None:
        self.meter = meter
        self.dice = dice
        self.couples: list[Couple] = []
        address = Address.of(url)
        for number, pair in enumerate(pairs):
            caller = Device(meter, address, pair.caller, "load-caller", leg=True)
            callee = Device(meter, address, pair.callee, "load-callee", leg=True)
            watch = None
            if number % WATCH_EVERY == 0:
                watch = Device(meter, address, pair.callee, "load-watch", leg=False)
            self.couples.append(Couple(caller, callee, watch, poor=pair.poor))
        self._free = {
            poor: deque(each for each in self.couples if each.poor is poor)
            for poor in (False, True)
        }
        self._beating: asyncio.Task[None] | None = None

    @property
    def devices(self) -> Iterable[Device]:
        return (device for couple in self.couples for device in couple.devices)

    async def connect(self) -> set[str]:
        """Connect everybody, a few at once; who does not get through is counted as an error.
        The codes of those errors."""
        gate = asyncio.Semaphore(CONNECTS_AT_ONCE)
        codes: set[str] = set()

        async def one(device: Device) -> None:
            async with gate:
                try:
                    await device.connect()
                except (OSError, TimeoutError) as fault:
                    codes.add(code_of(fault))
                    self.meter.tally.error("connect", code_of(fault))

        await asyncio.gather(*map(one, self.devices))
        self._beating = asyncio.get_running_loop().create_task(self._beat())
        return codes

    def take(self, *, poor: bool = False) -> Couple | None:
        """A couple that is free, connected, and may send the frames of a call; else None."""
        free, now_s = self._free[poor], time.perf_counter()
        for _ in range(min(len(free), 8)):
            couple = free.popleft()
            if couple.ready and couple.caller.rested(now_s):
                couple.caller.tire(now_s)
                return couple
            free.append(couple)
        return None

    def anybody(self, *, poor: bool = False) -> bool:
        """Whether there are any such couples that can make calls, now or later."""
        return any(each.poor is poor and each.ready for each in self.couples)

    def give_back(self, couple: Couple) -> None:
        self._free[couple.poor].append(couple)

    async def close(self) -> None:
        if self._beating is not None:
            self._beating.cancel()
            await asyncio.gather(self._beating, return_exceptions=True)
        await asyncio.gather(*(device.close() for device in self.devices))

    async def _beat(self) -> None:
        """One task for all sockets."""
        while True:
            await asyncio.sleep(BEAT_S)
            now_s = time.perf_counter()
            for device in self.devices:
                device.beat(now_s)
