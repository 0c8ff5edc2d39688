"""Pictures from outside made harmless: decoded and written anew in a child process with limits."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from pathlib import Path

import msgspec

from rest.account import reencode
from storage.errors import Unavailable

MIB = 1_048_576
SIDE_MIN = reencode.SIDE_MIN
CHILD = str(Path(reencode.__file__).resolve())
# A picture of 512 × 512 takes a tenth of it; a child that was taken over must not fill our memory.
OUT_BYTES_MAX = 2 * MIB
# A progressive JPEG has ten or so, each of which is a pass over the whole picture and may be a few
# bytes long. The marker stands nowhere in the coded data itself.
SCANS_MAX = 64
SCAN = b"\xff\xda"


class BadPicture(Exception):
    """The bytes are no picture that can be shown; the message says why, to who sent them."""


class ChildLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Of one child, and how many there may be.

    The memory is address space: a WebP of 16.8 million pixels takes 300 MiB, the others less. The
    processor needs 0.7 s for as many pixels of the kind that takes longest, a PNG.
    """

    memory_bytes: int = 384 * MIB
    cpu_s: int = 2
    wall_s: float = 10.0
    at_once: int = 2
    waiting_max: int = 8


class Pictures:
    """Makes pictures in children, a few at once; the others wait, and beyond that are refused."""

    def __init__(self, limits: ChildLimits | None = None) -> None:
        self._limits = limits or ChildLimits()
        self._places = asyncio.Semaphore(self._limits.at_once)
        self._inside = 0

    async def reencode(self, data: bytes) -> bytes:
        """The picture as WebP, see `reencode.reencode`.

        Raises:
            BadPicture: broken, too small, too many pixels, or more work than a picture may be.
            Unavailable: too many are waiting already, or the machine has no time for a child.
        """
        if kind_of(data) == "jpeg" and data.count(SCAN) > SCANS_MAX:
            raise BadPicture(f"A JPEG has at most {SCANS_MAX} scans.")
        if self._inside >= self._limits.at_once + self._limits.waiting_max:
            raise Unavailable("Too many pictures are being made at this moment.")
        self._inside += 1
        try:
            async with self._places:
                return await self._make(data)
        finally:
            self._inside -= 1

    async def _make(self, data: bytes) -> bytes:
        limits = self._limits
        try:
            # By path, isolated and with an empty environment: the child finds neither our modules
            # nor our secrets.
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                CHILD,
                str(limits.memory_bytes),
                str(limits.cpu_s),
                stdin=PIPE,
                stdout=PIPE,
                stderr=DEVNULL,
                env={},
                limit=OUT_BYTES_MAX,
            )
        except OSError as fault:
            raise Unavailable("The picture cannot be made now.") from fault
        try:
            async with asyncio.timeout(limits.wall_s):
                made = await _converse(child, data)
                status = await child.wait()
        except TimeoutError:
            # Its processor time has a limit of its own: this is a machine with too much to do.
            raise Unavailable("The picture was not made in time.") from None
        finally:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        match status:
            case 0 if 0 < len(made) <= OUT_BYTES_MAX:
                return made
            case reencode.TOO_SMALL:
                raise BadPicture(f"A picture has at least {SIDE_MIN} × {SIDE_MIN} pixels.")
            case reencode.TOO_MANY_PIXELS:
                millions = reencode.PIXELS_MAX / 1e6
                raise BadPicture(f"A picture has at most {millions:.1f} million pixels.")
            case _:
                raise BadPicture("This picture cannot be read.")


async def _converse(child: Process, data: bytes) -> bytes:
    """Give the child its input and take what it says, a byte more than it may at most."""
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(ConnectionError):  # It ended early, by its limits.
        child.stdin.write(data)
        await child.stdin.drain()
    child.stdin.close()
    try:
        return await child.stdout.readexactly(OUT_BYTES_MAX + 1)
    except asyncio.IncompleteReadError as whole:
        return whole.partial


def kind_of(data: bytes) -> str | None:
    """`jpeg`, `png` or `webp` by the first bytes; what the sender calls it counts for nothing."""
    if data.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return None
