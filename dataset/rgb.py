"""A decoded frame as the upright RGB picture that a standard display would show.

What a file may store otherwise is undone here: rotation, pixels that are not square, limited range
and colour matrices, high dynamic range, transparency.
"""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from jaxtyping import UInt8

from dataset.tone_mapping import to_standard_range

BACKGROUND = 255
"""The grey level (white, as on a page) behind what is transparent."""

_UNSPECIFIED = 2  # AVCOL_SPC_UNSPECIFIED
_HD_HEIGHT = 577  # players take an unlabelled picture of this height or more as BT.709
_TRANSFERS = {16: "pq", 18: "hlg"}  # AVCOL_TRC_SMPTE2084, AVCOL_TRC_ARIB_STD_B67
_ALPHA_FORMATS = ("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16", "pal8", "ayuv")
_THROUGH_422 = {"yuv420p": "yuv422p", "yuvj420p": "yuvj422p"}
"""Shrinking to these first is twice as fast as straight to RGB, and closer to the true picture."""
_MAX_STRETCH = 4.0  # a header that asks for more is wrong; DVD and DV stretch by at most 1.5
_MIN_STRETCH = 0.25


def transfer_of(frame: VideoFrame) -> str:
    """``pq`` or ``hlg`` for high dynamic range, else nothing."""
    return _TRANSFERS.get(frame.color_trc, "")


def has_alpha(pixel_format: str) -> bool:
    """Whether pixels of this format can be transparent."""
    return pixel_format.startswith(_ALPHA_FORMATS)


def rotation_of(frame: VideoFrame) -> int:
    """Degrees counter-clockwise that bring the stored picture upright: 0, 90, 180 or 270."""
    return round(frame.rotation / 90) % 4 * 90


def square_size(width: int, height: int, pixel_aspect: float) -> tuple[int, int]:
    """Width and height as shown: pixels wider (or narrower) than high change the width."""
    if pixel_aspect and _MIN_STRETCH <= pixel_aspect <= _MAX_STRETCH:
        width = max(1, round(width * pixel_aspect))
    return width, height


class RgbConverter:
    """Brings the frames of one video to one size, RGB, upright.

    Args:
        first: The video's first frame: it sets the size and the rotation of all.
        pixel_aspect: How much wider than high a stored pixel is shown.
        max_side: Most pixels of the longer side; larger pictures shrink.
        threads: Threads of the conversion.
    """

    def __init__(
        self, first: VideoFrame, *, pixel_aspect: float, max_side: int | None, threads: int
    ) -> None:
        width, height = square_size(first.width, first.height, pixel_aspect)
        if max_side is not None and max(width, height) > max_side:
            scale = max_side / max(width, height)
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
        self._width, self._height = width, height
        self._stored_height = first.height
        self._turns = rotation_of(first) // 90
        self._threads = threads
        self._shrinker = VideoReformatter()  # each keeps what it prepared for its last conversion
        self._reformatter = VideoReformatter()

    def convert(self, frame: VideoFrame) -> UInt8[np.ndarray, "height width 3"]:
        """The picture; a view that the next call may overwrite."""
        transfer = transfer_of(frame)
        if transfer:
            wide = _pixels(self._reformat(frame, "rgb48le", scaled=True), np.uint16, 3)
            picture = to_standard_range(wide, transfer)
        elif has_alpha(frame.format.name):
            # Composited before it is shrunk: hidden colours must not bleed into the edges.
            picture = _composited(_pixels(self._reformat(frame, "rgba", scaled=False), np.uint8, 4))
            opaque = VideoFrame.from_ndarray(picture, format="rgb24")
            picture = _pixels(self._reformat(opaque, "rgb24", scaled=True), np.uint8, 3)
        else:
            picture = _pixels(
                self._reformat(self._shrunk(frame), "rgb24", scaled=True), np.uint8, 3
            )
        return np.rot90(picture, self._turns)

    def _shrunk(self, frame: VideoFrame) -> VideoFrame:
        """The frame at the final size, its colours as stored, where that is the faster way."""
        if self._width >= frame.width or frame.format.name not in _THROUGH_422:
            return frame
        return self._shrinker.reformat(
            frame,
            self._width,
            self._height,
            format=_THROUGH_422[frame.format.name],
            interpolation=Interpolation.AREA,
            threads=self._threads,
        )

    def _reformat(self, frame: VideoFrame, pixel_format: str, *, scaled: bool) -> VideoFrame:
        width, height = (self._width, self._height) if scaled else (frame.width, frame.height)
        unlabelled_hd = frame.colorspace == _UNSPECIFIED and self._stored_height >= _HD_HEIGHT
        return self._reformatter.reformat(
            frame,
            width,
            height,
            format=pixel_format,
            src_colorspace=Colorspace.ITU709 if unlabelled_hd else None,
            interpolation=Interpolation.AREA if width < frame.width else None,
            threads=self._threads,
        )


def _pixels(frame: VideoFrame, kind: type, channels: int) -> np.ndarray:
    """A packed frame's pixels without copying: rows may be padded."""
    (plane,) = frame.planes
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(frame.height, plane.line_size)
    used = rows[:, : frame.width * channels * np.dtype(kind).itemsize]
    return used.view(kind).reshape(frame.height, frame.width, channels)


def _composited(picture: UInt8[np.ndarray, "height width 4"]) -> np.ndarray:
    alpha = picture[..., 3:].astype(np.uint16)
    seen = picture[..., :3] * alpha + BACKGROUND * (255 - alpha)
    return ((seen + 127) // 255).astype(np.uint8)
