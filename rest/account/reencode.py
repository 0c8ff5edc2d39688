"""A picture from stdin, decoded and written anew as WebP to stdout, in a process of its own.

`rest/account/pictures.py` runs this file by its path, with nothing of the server's environment.
Before it looks at a byte it binds itself to limits of memory and processor time, so a picture that
is made to hurt can hurt this process alone. The exit status says what was wrong.
"""

from __future__ import annotations

import io
import os
import sys

FORMATS = ("JPEG", "PNG", "WEBP")
SIDE_MIN = 64
PIXELS_MAX = 16_777_216
SIDE_MAX = 512  # of what comes out
QUALITY = 82
NICENESS = 10

UNREADABLE = 10
TOO_SMALL = 11
TOO_MANY_PIXELS = 12


def bind(memory_bytes: int, cpu_s: int) -> None:
    """No more memory, time, files or core dumps than this, for the rest of the process's life, and
    processor time that the server does not want."""
    import resource  # Not on every system; there this process ends, and no picture is taken.

    os.nice(NICENESS)
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, cpu_s))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def reencode(data: bytes) -> tuple[int, bytes]:
    """(0, the picture as WebP), or why not and nothing.

    Turned as its EXIF says, at most 512 pixels on the long side; transparency is kept, everything
    else that the file carried (place, camera, comments, colour profile) is not.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as picture:
            # The header alone has been read.
            if min(picture.size) < SIDE_MIN:
                return TOO_SMALL, b""
            if picture.width * picture.height > PIXELS_MAX:
                return TOO_MANY_PIXELS, b""
            picture.draft("RGB", (SIDE_MAX, SIDE_MAX))
            mode = "RGBA" if picture.has_transparency_data else "RGB"
            small = picture if picture.mode == mode else picture.convert(mode)
            small.thumbnail((SIDE_MAX, SIDE_MAX), Image.Resampling.LANCZOS, reducing_gap=2.0)
            upright = ImageOps.exif_transpose(small)
            # A fresh canvas: nothing of what came with the file can come along.
            clean = Image.new(mode, upright.size)
            clean.paste(upright)
            written = io.BytesIO()
            clean.save(written, "WEBP", quality=QUALITY)
            return 0, written.getvalue()
    except Exception:  # A broken file makes the decoders raise almost anything, MemoryError too.
        return UNREADABLE, b""


def main() -> int:
    memory_bytes, cpu_s = map(int, sys.argv[1:])
    bind(memory_bytes, cpu_s)
    status, picture = reencode(sys.stdin.buffer.read())
    sys.stdout.buffer.write(picture)
    return status


if __name__ == "__main__":
    sys.exit(main())
