"""Sound in and out: a tone, a file or silence to send; a sink that hears, measures and records.

Everything here is 48 kHz, stereo, 16 bit, in frames of 20 ms.
"""

from __future__ import annotations

import asyncio
import contextlib
import fractions
import math
import time
import wave
from array import array
from collections import deque
from pathlib import Path

from aiortc.contrib.media import MediaPlayer
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, AudioResampler, FFmpegError

RATE = 48_000
CHANNELS = 2
FRAME_MS = 20
FRAME_SAMPLES = RATE * FRAME_MS // 1_000
FRAME_BYTES = FRAME_SAMPLES * CHANNELS * 2
SILENT_FRAME = bytes(FRAME_BYTES)
FULL_SCALE = 32_767
HEARD_FRAMES = 25
RECORD_FLUSH_FRAMES = 50
HEARD_LEVEL_MIN = 0.005


class Source:
    """Where a call's outgoing sound comes from, 20 ms at a time. Silence, unless overridden."""

    async def read(self) -> bytes:
        """The next frame; whoever calls keeps the pace."""
        return SILENT_FRAME

    def close(self) -> None:
        """Let go of files and threads. May be called twice."""


class Tone(Source):
    """A sine. `level` is its peak, 0..1 of full scale."""

    def __init__(self, hz: int, level: float = 0.3) -> None:
        second = array("h")
        for n in range(RATE):
            sample = round(FULL_SCALE * level * math.sin(2 * math.pi * hz * n / RATE))
            second.extend((sample, sample))
        # A whole number of periods fits into one second, so it repeats without a click.
        self._second = second.tobytes()
        self._at = 0

    async def read(self) -> bytes:
        frame = self._second[self._at : self._at + FRAME_BYTES]
        self._at = (self._at + FRAME_BYTES) % len(self._second)
        return frame


class File(Source):
    """Any file that FFmpeg can read, once; silence after its end.

    Raises (when made):
        ValueError: the file cannot be read or has no audio.
    """

    def __init__(self, path: Path | str) -> None:
        try:
            player = MediaPlayer(str(path))
        except (FFmpegError, OSError) as fault:
            raise ValueError(f"{path} cannot be played: {fault}") from None
        if player.audio is None:
            raise ValueError(f"{path} has no audio.")
        self._track: MediaStreamTrack | None = player.audio

    async def read(self) -> bytes:
        if self._track is None:
            return SILENT_FRAME
        try:
            frame = await self._track.recv()
        except MediaStreamError:
            self.close()
            return SILENT_FRAME
        assert isinstance(frame, AudioFrame)
        return bytes(frame.planes[0])[:FRAME_BYTES].ljust(FRAME_BYTES, b"\0")

    def close(self) -> None:
        if self._track is not None:
            self._track.stop()
            self._track = None


def open_source(what: str, *, tone_hz: int = 440) -> Source:
    """The source for a command line's word: `tone`, `tone:<hz>`, `silence` or a file's path.

    Raises:
        ValueError: a file that cannot be played, or a tone that is not 20 to 20 000 Hz.
    """
    if what == "silence":
        return Source()
    name, _, pitch = what.partition(":")
    if name == "tone":
        hz = int(pitch) if pitch else tone_hz
        if not 20 <= hz <= 20_000:
            raise ValueError(f"A tone has 20 to 20000 Hz, not {hz}.")
        return Tone(hz)
    return File(Path(what))


class Outgoing(MediaStreamTrack):
    """A source as the track of one peer connection, paced in real time.

    aiortc stops a connection's tracks when it closes; the source lives on for the next connection.
    `muted` sends silence: packets must go on, or the other side would report a dead line.
    """

    kind = "audio"

    def __init__(self, source: Source) -> None:
        super().__init__()
        self.muted = False
        self._source = source
        self._start_s = 0.0
        self._samples = 0

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        if not self._start_s:
            self._start_s = time.monotonic()
        wait_s = self._start_s + self._samples / RATE - time.monotonic()
        if wait_s > 0:
            await asyncio.sleep(wait_s)
        sound = await self._source.read()
        frame = AudioFrame(format="s16", layout="stereo", samples=FRAME_SAMPLES)
        frame.planes[0].update(SILENT_FRAME if self.muted else sound)
        frame.sample_rate = RATE
        frame.pts = self._samples
        frame.time_base = fractions.Fraction(1, RATE)
        self._samples += FRAME_SAMPLES
        return frame


class Sink:
    """What a call's incoming sound goes to: counted, measured over the last half second, recorded.

    `frames` counts 20 ms frames over all connections of the call. `record` names a WAV to write.
    """

    def __init__(self, record: Path | str | None = None) -> None:
        self.frames = 0
        self.held = False
        self.first = asyncio.Event()
        self._heard: deque[bytes] = deque(maxlen=HEARD_FRAMES)
        self._unwritten: list[bytes] = []
        self._wave: wave.Wave_write | None = None
        if record is not None:
            self._wave = wave.open(str(record), "wb")  # noqa: SIM115 (closed in `close`)
            self._wave.setnchannels(CHANNELS)
            self._wave.setsampwidth(2)
            self._wave.setframerate(RATE)

    async def consume(self, track: MediaStreamTrack, first: asyncio.Event) -> None:
        """Read a track until it ends; `first` is set when its first frame has come."""
        resampler = AudioResampler("s16", "stereo", RATE, FRAME_SAMPLES)
        with contextlib.suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                assert isinstance(frame, AudioFrame)
                if not first.is_set():
                    first.set()
                    self.first.set()
                frame.pts = None
                for part in resampler.resample(frame):
                    self._take(bytes(part.planes[0])[:FRAME_BYTES])

    def _take(self, sound: bytes) -> None:
        self.frames += 1
        if self.held:
            sound = SILENT_FRAME
        self._heard.append(sound)
        if self._wave is not None:
            self._unwritten.append(sound)
            if len(self._unwritten) >= RECORD_FLUSH_FRAMES:
                self._flush()

    def _flush(self) -> None:
        if self._wave is not None and self._unwritten:
            self._wave.writeframes(b"".join(self._unwritten))
        self._unwritten.clear()

    def level(self) -> float:
        """Root mean square of the last half second, 0..1 of full scale."""
        return level(self._left())

    def hz(self) -> float:
        """The pitch of what was heard in the last half second; 0 for (nearly) nothing."""
        return pitch(self._left())

    def _left(self) -> array[int]:
        return array("h", b"".join(self._heard))[::CHANNELS]

    def close(self) -> None:
        self._flush()
        if self._wave is not None:
            self._wave.close()
            self._wave = None


def level(samples: array[int]) -> float:
    """Root mean square of 16-bit samples as a share of full scale."""
    if not samples:
        return 0.0
    return math.sqrt(sum(x * x for x in samples) / len(samples)) / FULL_SCALE


def pitch(samples: array[int]) -> float:
    """The frequency of a (nearly) pure tone at 48 kHz, from its rises through zero; 0 if silent.

    A rise counts once the wave has been clearly below and then clearly above zero, so noise on
    the zero line does not add any.
    """
    if level(samples) < HEARD_LEVEL_MIN:
        return 0.0
    edge = max(samples) // 3
    rises: list[int] = []
    below = False
    for at, sample in enumerate(samples):
        if sample < -edge:
            below = True
        elif below and sample > edge:
            below = False
            rises.append(at)
    if len(rises) < 2:
        return 0.0
    return (len(rises) - 1) * RATE / (rises[-1] - rises[0])
