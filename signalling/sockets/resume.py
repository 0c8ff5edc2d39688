"""What outlives a lost socket: the events that its device has not acknowledged."""

from collections.abc import Sequence
from hmac import compare_digest

from signalling.limits import SocketLimits


class Rings:
    """What all rings of a node hold together: how many there are, and their `size_bytes`."""

    __slots__ = ("count", "limits", "size_bytes")

    def __init__(self, limits: SocketLimits) -> None:
        self.limits = limits
        self.count = 0
        self.size_bytes = 0


class Ring:
    """The newest events of one session, as the finished frames that were sent; nothing is copied.

    Their numbers have no gap, so the number of the newest one tells those of all. When there are
    too many, of this device or of all together, the oldest are forgotten.
    """

    __slots__ = ("_frames", "_rings", "_size_bytes")

    def __init__(self, rings: Rings) -> None:
        self._rings = rings
        self._frames: list[bytes] = []
        self._size_bytes = 0
        rings.count += 1

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: bytes) -> None:
        frames, rings = self._frames, self._rings
        frames.append(frame)
        size = len(frame)
        self._size_bytes += size
        rings.size_bytes += size
        limits = rings.limits
        if (
            len(frames) > limits.replay_events_max
            or self._size_bytes > limits.replay_bytes_max
            or rings.size_bytes > limits.replay_all_bytes_max
        ):
            self._make_room()

    def newest(self, count: int) -> Sequence[bytes]:
        """The last `count` frames, oldest first."""
        return self._frames[-count:] if count else ()

    def forget(self, count: int) -> None:
        """Let go of the `count` oldest frames."""
        size = sum(map(len, self._frames[:count]))
        self._size_bytes -= size
        self._rings.size_bytes -= size
        del self._frames[:count]

    def drop(self) -> None:
        """Let go of everything; to be called once, at the ring's end."""
        self.forget(len(self._frames))
        self._rings.count -= 1

    def _make_room(self) -> None:
        limits, rings = self._rings.limits, self._rings
        gone = max(0, len(self._frames) - limits.replay_events_max)
        freed = sum(map(len, self._frames[:gone]))
        while gone < len(self._frames) and (
            self._size_bytes - freed > limits.replay_bytes_max
            or rings.size_bytes - freed > limits.replay_all_bytes_max
        ):
            freed += len(self._frames[gone])
            gone += 1
        self.forget(gone)


class Resumes:
    """Welcomes since the start: of resumed sessions, of new ones that nobody asked to resume, and
    of new ones where the wish was refused."""

    __slots__ = ("fresh", "refused", "resumed")

    def __init__(self) -> None:
        self.resumed = 0
        self.fresh = 0
        self.refused = 0


def same(known: str, given: str) -> bool:
    """Compared in a time that says nothing about where they differ. Nothing equals `""`."""
    return compare_digest(known.encode(), given.encode()) and known != ""
