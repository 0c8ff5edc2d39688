"""Pictures go in as anything and come out as a small clean WebP, or not at all."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

import pytest
from PIL import Image

from rest.account.pictures import CHILD, SCAN, BadPicture, ChildLimits, Pictures, kind_of
from rest.account.reencode import NICENESS
from storage.errors import Unavailable
from tests.rest.account.drawing import drawn, png_of_size


def opened(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
async def test_each_kind_comes_out_as_a_small_webp(form: str) -> None:
    made = opened(await Pictures().reencode(drawn(form, (1024, 256))))
    assert (made.format, made.size) == ("WEBP", (512, 128))


async def test_a_bomb_is_refused_by_its_header_alone() -> None:
    bomb = png_of_size(12_000, 12_000)
    assert len(bomb) < 1_000
    # So little time that not even a part of it could be decoded.
    with pytest.raises(BadPicture, match=r"at most 16[.]8 million"):
        await Pictures(ChildLimits(cpu_s=1)).reencode(bomb)


def in_scans(count: int) -> bytes:
    """A progressive JPEG whose last scan is there again and again."""
    whole = drawn("JPEG", (128, 128), progressive=True)
    last = whole.rindex(SCAN)
    return whole[:last] + whole[last:-2] * (count - whole.count(SCAN) + 1) + whole[-2:]


async def test_a_jpeg_of_many_scans_is_refused_before_a_child_begins() -> None:
    assert opened(await Pictures().reencode(in_scans(20))).format == "WEBP"
    no_child = Pictures(ChildLimits(wall_s=0))
    with pytest.raises(BadPicture, match="64 scans"):
        await no_child.reencode(in_scans(65))
    # What looks like a scan in another kind of file is just data.
    assert await Pictures().reencode(drawn("PNG", (100, 100)) + SCAN * 100)


async def test_a_child_gives_way_to_the_server() -> None:
    script = f"import os, sys; sys.path.insert(0, {str(Path(CHILD).parent)!r}); "
    script += "import reencode; reencode.bind(10**9, 2); print(os.nice(0))"
    child = await asyncio.create_subprocess_exec(sys.executable, "-Ic", script, stdout=PIPE)
    told, _ = await child.communicate()
    assert int(told) >= min(19, os.nice(0) + NICENESS)


@pytest.mark.parametrize("size", [(63, 64), (64, 63), (1, 1)])
async def test_a_picture_has_a_least_size(size: tuple[int, int]) -> None:
    with pytest.raises(BadPicture, match="64 × 64"):
        await Pictures().reencode(drawn("PNG", size))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8\xff",
        b"\x89PNG\r\n\x1a\n",
        b"GIF89a" + bytes(100),
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        drawn("PNG", (100, 100))[:-300],
        drawn("JPEG", (100, 100))[:300],
        drawn("GIF", (100, 100)),
    ],
    ids=["nothing", "jpeg", "png", "gif", "svg", "half a png", "half a jpeg", "a whole gif"],
)
async def test_what_is_no_whole_picture_is_refused(data: bytes) -> None:
    with pytest.raises(BadPicture, match="cannot be read"):
        await Pictures().reencode(data)


async def test_a_child_that_wants_more_memory_than_it_may_fails_alone() -> None:
    small = Pictures(ChildLimits(memory_bytes=96 * 1_048_576))
    with pytest.raises(BadPicture):
        await small.reencode(drawn("PNG", (4_000, 4_000)))
    assert opened(await Pictures().reencode(drawn("PNG", (4_000, 4_000)))).size == (512, 512)


async def test_a_child_is_killed_at_its_time_limit_and_the_next_one_works() -> None:
    slow = Pictures(ChildLimits(wall_s=0.001, at_once=1, waiting_max=0))
    for _ in range(2):
        with pytest.raises(Unavailable, match="not made in time"):
            await slow.reencode(drawn("PNG", (100, 100)))
    with pytest.raises(BadPicture, match="cannot be read"):
        await Pictures(ChildLimits(cpu_s=0)).reencode(drawn("PNG", (2_000, 2_000)))


async def test_whoever_gives_up_waiting_leaves_no_child_and_no_place_taken() -> None:
    pictures = Pictures(ChildLimits(at_once=1, waiting_max=0))
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await pictures.reencode(drawn("PNG", (100, 100)))
    assert await pictures.reencode(drawn("PNG", (100, 100)))


async def test_only_so_many_wait() -> None:
    pictures = Pictures(ChildLimits(at_once=1, waiting_max=1))
    picture = drawn("PNG", (100, 100))
    done = await asyncio.gather(
        *(pictures.reencode(picture) for _ in range(4)), return_exceptions=True
    )
    assert sum(isinstance(each, bytes) for each in done) == 2
    assert sum(isinstance(each, Unavailable) for each in done) == 2


def test_the_kind_is_told_by_the_first_bytes() -> None:
    assert kind_of(drawn("JPEG", (64, 64))) == "jpeg"
    assert kind_of(drawn("PNG", (64, 64))) == "png"
    assert kind_of(drawn("WEBP", (64, 64))) == "webp"
    for other in (b"", b"GIF89a", b"RIFF1234WAVE", b"<svg", b"%PDF-1.7", b"MZ"):
        assert kind_of(other) is None
