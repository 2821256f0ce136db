"""Reading one picture of a map from an untrusted file: its header first, then its pixels.

PNG and JPEG alone. A PNG is handed to the decoder without its ancillary chunks: no colour profile,
gamma or text is looked at, and none can do harm.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from dataset.errors import ItemError

MAX_SIDE = 8192
"""Pictures with more pixels a side are not decoded."""

MAX_FILE_BYTES = 256 * 2**20
SUFFIXES = (".png", ".jpg", ".jpeg")

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # start-of-frame markers
_JPEG_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


def read_picture(path: Path) -> np.ndarray:
    """The pixels as stored: height x width x channels (1 to 4, colours as RGB), uint8 or uint16.

    Raises:
        ItemError: ``lint.damaged`` (no PNG or JPEG, cut off, or changed) or ``lint.too_large``.
    """
    size = path.stat().st_size
    if size > MAX_FILE_BYTES:
        raise ItemError("lint.too_large", f"{path.name} has {size} bytes, at most {MAX_FILE_BYTES}")
    data = path.read_bytes()
    if data.startswith(_PNG):
        data = _checked_png(data, path.name)
    elif data.startswith(b"\xff\xd8"):
        _check_jpeg(data, path.name)
    else:
        raise ItemError("lint.damaged", f"{path.name} is neither PNG nor JPEG")
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise ItemError("lint.damaged", f"{path.name} cannot be decoded: {error}") from error
    if picture is None:
        raise ItemError("lint.damaged", f"{path.name} cannot be decoded")
    return _as_rgb(picture)


def check_side(width: int, height: int, name: str) -> None:
    """Refuse a size before anything is decoded: ``ItemError`` of ``lint.too_large``."""
    if max(width, height) > MAX_SIDE:
        raise ItemError(
            "lint.too_large", f"{name} is {width} x {height} pixels, at most {MAX_SIDE} a side"
        )
    if min(width, height) < 1:
        raise ItemError("lint.damaged", f"{name} is {width} x {height} pixels")


def _as_rgb(picture: np.ndarray) -> np.ndarray:
    if picture.ndim == 2:
        return picture[..., None]
    order = {3: [2, 1, 0], 4: [2, 1, 0, 3]}[picture.shape[2]]
    return np.ascontiguousarray(picture[..., order])


def _checked_png(data: bytes, name: str) -> bytes:
    """The picture with its critical chunks alone, every one of which is whole."""
    kept = [_PNG]
    for kind, start, end in _png_chunks(data, name):
        if kind == b"IHDR":
            width, height = struct.unpack_from(">II", data, start + 8)
            check_side(width, height, name)
        if kind in _PNG_CHUNKS:
            (told,) = struct.unpack_from(">I", data, end - 4)
            if zlib.crc32(data[start + 4 : end - 4]) != told:
                raise ItemError("lint.damaged", f"{name}: chunk {kind.decode()} was changed")
            kept.append(data[start:end])
    return b"".join(kept)


def _png_chunks(data: bytes, name: str) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of every chunk, the header first and the end last."""
    start, kind = len(_PNG), b""
    while kind != b"IEND":
        if len(data) < start + 12:
            raise ItemError("lint.damaged", f"{name} ends after {len(data)} bytes, in its middle")
        length, next_kind = struct.unpack_from(">I4s", data, start)
        if (next_kind == b"IHDR") != (kind == b"") or start + 12 + length > len(data):
            raise ItemError("lint.damaged", f"{name} is not a whole PNG")
        if next_kind == b"IHDR" and length != 13:
            raise ItemError("lint.damaged", f"{name} has a header of {length} bytes")
        kind = next_kind
        yield kind, start, start + 12 + length
        start += 12 + length


def _check_jpeg(data: bytes, name: str) -> None:
    """The size is within bounds, and the end marker is there."""
    start = 2
    while start + 9 <= len(data) and data[start] == 0xFF:
        marker = data[start + 1]
        if marker in _JPEG_SIZES:
            height, width = struct.unpack_from(">HH", data, start + 5)
            check_side(width, height, name)
            if b"\xff\xd9" not in data[-64:]:
                raise ItemError("lint.damaged", f"{name} has no end: it is cut off")
            return
        start += _marker_length(data, start)
    raise ItemError("lint.damaged", f"{name} begins as a JPEG, but has no size")


def _marker_length(data: bytes, start: int) -> int:
    """Bytes from one marker to the next; a fill byte is one alone."""
    marker = data[start + 1]
    if marker == 0xFF:
        return 1
    return 2 if marker in _JPEG_BARE else 2 + int.from_bytes(data[start + 2 : start + 4])
