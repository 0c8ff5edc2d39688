import asyncio
import time
import wave
from array import array
from itertools import pairwise
from pathlib import Path

import pytest
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame

from signalling.client.audio import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    SILENT_FRAME,
    File,
    Outgoing,
    Sink,
    Source,
    Tone,
    level,
    open_source,
    pitch,
)


async def heard(source: Source, frames: int = 25) -> array:  # type: ignore[type-arg]
    """The left channel of the source's next frames."""
    sound = [await source.read() for _ in range(frames)]
    return array("h", b"".join(sound))[::2]


@pytest.mark.parametrize("hz", [100, 440, 1_000, 3_000])
async def test_a_tone_has_its_pitch_and_level(hz: int) -> None:
    samples = await heard(Tone(hz, level=0.5))
    assert abs(pitch(samples) - hz) < hz * 0.01
    assert abs(level(samples) - 0.5 / 2**0.5) < 0.01


async def test_a_tone_goes_on_without_a_click_at_the_second() -> None:
    samples = await heard(Tone(441), 100)
    largest = max(abs(b - a) for a, b in pairwise(samples))
    assert largest < 32_767 * 0.3 * 0.06


async def test_silence_has_neither_pitch_nor_level() -> None:
    samples = await heard(Source())
    assert (pitch(samples), level(samples)) == (0, 0)
    assert level(array("h")) == 0


async def test_a_file_is_played_once_and_silence_follows(tmp_path: Path) -> None:
    path = tmp_path / "tone.wav"
    tone = Tone(500)
    with wave.open(str(path), "wb") as made:
        made.setnchannels(2)
        made.setsampwidth(2)
        made.setframerate(48_000)
        made.writeframes(b"".join([await tone.read() for _ in range(15)]))
    source = File(path)
    samples = await heard(source, 14)
    assert abs(pitch(samples) - 500) < 10
    await heard(source, 3)
    assert await source.read() == SILENT_FRAME
    source.close()
    source.close()


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    for path in (str(broken), str(tmp_path / "missing.wav")):
        with pytest.raises(ValueError, match="cannot be played"):
            open_source(path)


def test_a_word_of_the_command_line_names_a_source() -> None:
    assert isinstance(open_source("tone"), Tone)
    assert isinstance(open_source("tone:300"), Tone)
    assert type(open_source("silence")) is Source
    with pytest.raises(ValueError, match="20000"):
        open_source("tone:1")


async def test_outgoing_frames_keep_the_pace_and_silence_when_muted() -> None:
    track = Outgoing(Tone(440))
    began_s = time.monotonic()
    frames = [await track.recv() for _ in range(6)]
    assert time.monotonic() - began_s > 0.09
    assert [frame.pts for frame in frames] == [FRAME_SAMPLES * n for n in range(6)]
    assert any(bytes(frames[5].planes[0])[:FRAME_BYTES])
    track.muted = True
    assert not any(bytes((await track.recv()).planes[0])[:FRAME_BYTES])
    track.stop()
    with pytest.raises(MediaStreamError):
        await track.recv()


async def test_a_sink_counts_measures_and_records_until_the_track_ends(tmp_path: Path) -> None:
    track, path, first = Outgoing(Tone(800)), tmp_path / "heard.wav", asyncio.Event()
    sink = Sink(path)
    consumer = asyncio.create_task(sink.consume(track, first))
    await asyncio.wait_for(first.wait(), 5)
    while sink.frames < 20:  # noqa: ASYNC110 (20 ms each, from a real-time source)
        await asyncio.sleep(0.01)
    assert abs(sink.hz() - 800) < 16
    assert 0.15 < sink.level() < 0.3
    track.stop()
    await asyncio.wait_for(consumer, 5)
    sink.close()
    with wave.open(str(path)) as written:
        assert written.getframerate() == 48_000
        assert written.getnframes() == sink.frames * FRAME_SAMPLES


async def test_a_held_sink_hears_nothing_but_goes_on_counting() -> None:
    track, first = Outgoing(Tone(800)), asyncio.Event()
    sink = Sink()
    sink.held = True
    consumer = asyncio.create_task(sink.consume(track, first))
    while sink.frames < 5:  # noqa: ASYNC110 (20 ms each, from a real-time source)
        await asyncio.sleep(0.01)
    assert sink.level() == 0
    consumer.cancel()
    assert isinstance(await track.recv(), AudioFrame)
