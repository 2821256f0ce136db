"""Interlaced frames, two half pictures of different moments woven, become whole ones."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction

import av.error
from av.filter import Graph
from av.video.frame import VideoFrame

_FILTER = "bwdif", "mode=send_frame:parity=auto:deint=interlaced"  # a frame out for each one in


def deinterlaced(
    timed: Iterable[tuple[float, VideoFrame]], *, threads: int
) -> Iterator[tuple[float, VideoFrame]]:
    """Pass frames on; from the first one that is flagged as interlaced, through FFmpeg's bwdif.

    Progressive frames among interlaced ones stay as they are. Times stay with their frames.
    """
    bwdif: _Bwdif | None = None
    for seconds, frame in timed:
        if bwdif is not None and not bwdif.takes(frame):
            yield from bwdif.rest()
            bwdif = None
        if bwdif is None and frame.interlaced_frame:
            bwdif = _Bwdif(frame, threads)
        if bwdif is None:
            yield seconds, frame
        else:
            yield from bwdif.pushed(seconds, frame)
    if bwdif is not None:
        yield from bwdif.rest()


class _Bwdif:
    """One filter graph, which holds a frame back until it has seen the one after it."""

    def __init__(self, like: VideoFrame, threads: int) -> None:
        self._kind = _kind(like)
        self._graph = Graph()
        self._graph.threads = threads
        source = self._graph.add_buffer(
            width=like.width, height=like.height, format=like.format, time_base=Fraction(1, 25)
        )
        name, options = _FILTER
        self._graph.link_nodes(
            source, self._graph.add(name, options), self._graph.add("buffersink")
        )
        self._graph.configure()
        self._times: deque[float] = deque()
        self._count = 0

    def takes(self, frame: VideoFrame) -> bool:
        """Whether the frame has the size and the format that the graph was made for."""
        return _kind(frame) == self._kind

    def pushed(self, seconds: float, frame: VideoFrame) -> Iterator[tuple[float, VideoFrame]]:
        frame.pts, frame.time_base = self._count, Fraction(1, 25)  # the filter wants an order only
        self._count += 1
        self._times.append(seconds)
        self._graph.vpush(frame)
        return self._ready()

    def rest(self) -> Iterator[tuple[float, VideoFrame]]:
        self._graph.vpush(None)
        return self._ready()

    def _ready(self) -> Iterator[tuple[float, VideoFrame]]:
        while self._times:
            try:
                frame = self._graph.vpull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            yield self._times.popleft(), frame


def _kind(frame: VideoFrame) -> tuple[int, int, str]:
    return frame.width, frame.height, frame.format.name
