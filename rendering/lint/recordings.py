"""Maps as moving pictures: a video file, or a stream of the ``guidance`` table."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import av
import av.error
import numpy as np
from jaxtyping import UInt8

from dataset.errors import ItemError
from dataset.streams import decode_stream, stream_channels, stream_length
from dataset.video import probe_video, read_frames
from rendering.lint.pictures import MAX_SIDE, check_side


class VideoFrames:
    """Frames of a video file, read forwards.

    Raises:
        ItemError: The kinds of ``dataset.video.probe_video``, at once or when a frame is read.
    """

    def __init__(self, path: Path) -> None:
        probe = probe_video(path, max_pixels=MAX_SIDE * MAX_SIDE)
        check_side(probe.width, probe.height, path.name)
        self.numbers = range(probe.frames)
        self._path = path
        self._frames: Iterator[UInt8[np.ndarray, "height width 3"]] = read_frames(path)
        self._next = 0

    def read(self, number: int) -> UInt8[np.ndarray, "height width 3"]:
        """A frame, RGB; asking for an earlier one than before begins the file again."""
        if number < self._next:
            self._frames, self._next = read_frames(self._path), 0
        for frame in self._frames:
            self._next += 1
            if self._next > number:
                return frame
        raise ItemError(
            "lint.damaged", f"{self._path.name} ends before frame {number} of {len(self.numbers)}"
        )


class StreamFrames:
    """Frames of one of the dataset's own streams (``dataset.streams``), read at random.

    Raises:
        ItemError: ``stream.damaged`` or ``lint.too_large``, at once or when a frame is read.
    """

    def __init__(self, name: str, data: bytes) -> None:
        _check_stream_side(name, data)
        self.numbers = range(stream_length(data))
        self._channels = stream_channels(name)
        self._data = data

    def read(self, number: int) -> UInt8[np.ndarray, "height width channels"]:
        """A frame as it was encoded: RGB, or one channel for the grey streams."""
        return decode_stream(self._data, [number], channels=self._channels)[0]


def _check_stream_side(name: str, data: bytes) -> None:
    try:
        with av.open(io.BytesIO(data), "r", format="mp4") as container:
            for stream in container.streams.video:
                if stream.codec_context is not None:
                    check_side(stream.codec_context.width, stream.codec_context.height, name)
    except av.error.FFmpegError as error:
        raise ItemError("stream.damaged", f"{name} is not an MP4: {error}") from error
