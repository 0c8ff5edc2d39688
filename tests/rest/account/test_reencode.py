"""What the child does with a picture, and how it binds itself."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from rest.account import reencode
from tests.rest.account.drawing import drawn, png_of_size

ROOT = Path(__file__).parents[3]


def made(data: bytes) -> Image.Image:
    status, written = reencode.reencode(data)
    assert status == 0
    picture = Image.open(io.BytesIO(written))
    assert picture.format == "WEBP"
    return picture


def reddish(picture: Image.Image, at: tuple[int, int]) -> bool:
    pixel = picture.convert("RGB").getpixel(at)
    assert isinstance(pixel, tuple)
    return pixel[0] > 200 > pixel[2]


def test_a_small_picture_keeps_its_size() -> None:
    assert made(drawn("PNG", (64, 100))).size == (64, 100)


def test_a_picture_is_turned_upright_and_tells_no_place() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was held on its side: the left of the file is the top.
    exif[0x010F] = "A camera"
    exif.get_ifd(0x8825)[1] = "N"
    picture = made(drawn("JPEG", (300, 100), exif=exif, comment=b"secret place"))
    assert picture.size == (100, 300)
    assert reddish(picture, (50, 20))
    assert not reddish(picture, (50, 280))
    assert not picture.getexif()
    assert set(picture.info) <= {"loop", "background", "timestamp", "duration"}


def test_what_stands_behind_a_picture_does_not_come_along() -> None:
    _, written = reencode.reencode(drawn("PNG", (64, 64)) + b"<script>alert(1)</script>")
    assert written
    assert b"<script>" not in written


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_is_kept(mode: str) -> None:
    written = io.BytesIO()
    Image.new("RGBA", (80, 80), (10, 20, 30, 0)).convert(mode).save(written, "PNG")
    picture = made(written.getvalue())
    assert picture.mode == "RGBA"
    assert picture.getchannel("A").getextrema() == (0, 0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16", "CMYK"])
def test_every_way_to_write_colours_is_understood(mode: str) -> None:
    written = io.BytesIO()
    form = "JPEG" if mode == "CMYK" else "PNG"
    Image.new(mode, (80, 80)).save(written, form)
    assert made(written.getvalue()).mode == "RGB"


def test_of_moving_pictures_the_first_one_stays() -> None:
    frames = [Image.new("RGB", (80, 80), colour) for colour in ("red", "blue")]
    written = io.BytesIO()
    frames[0].save(written, "WEBP", save_all=True, append_images=frames[1:])
    picture = made(written.getvalue())
    assert getattr(picture, "n_frames", 1) == 1
    assert reddish(picture, (40, 40))


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (drawn("PNG", (63, 500)), reencode.TOO_SMALL),
        (png_of_size(4_097, 4_096), reencode.TOO_MANY_PIXELS),
        (png_of_size(4_096, 4_096), reencode.UNREADABLE),
        (drawn("GIF", (100, 100)), reencode.UNREADABLE),
        (b"", reencode.UNREADABLE),
    ],
)
def test_the_status_says_what_was_wrong(data: bytes, status: int) -> None:
    assert reencode.reencode(data) == (status, b"")


def test_a_bound_process_gets_no_more_memory_time_or_files(tmp_path: Path) -> None:
    tries = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from rest.account.reencode import bind\n"
        "bind(300 << 20, 1)\n"
        "try: bytearray(400 << 20)\n"
        "except MemoryError: print('no memory', flush=True)\n"
        f"try: open({str(tmp_path / 'x')!r}, 'wb', buffering=0).write(b'x')\n"
        "except OSError: print('no file', flush=True)\n"
        "while True: pass\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", tries], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.stdout.split("\n") == ["no memory", "no file", ""]
    assert ended.returncode < 0, "killed by the system at its time limit"
