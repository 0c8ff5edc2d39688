"""Pictures for tests, drawn or forged."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from PIL import Image


def drawn(form: str, size: tuple[int, int], mode: str = "RGB", **options: Any) -> bytes:
    """A picture whose left half is red and whose right half is blue."""
    picture = Image.new(mode, size, "blue")
    picture.paste(Image.new(mode, (size[0] // 2, size[1]), "red"), (0, 0))
    written = io.BytesIO()
    picture.save(written, form, **options)
    return written.getvalue()


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that says it is that large and has next to nothing in it."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checked = kind + data
        return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    packed = zlib.compress(bytes(1_000))
    return b"".join(
        [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), chunk(b"IDAT", packed), chunk(b"IEND", b"")]
    )
