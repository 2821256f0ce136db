"""Films cut together from labelled footage, with what is true of them, and how they are written."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.stream import VideoStream
from pydantic import TypeAdapter

from benchmarks.curation_edits import Frames, dissolved, faded
from benchmarks.curation_labels import Half
from curation.select import Framing

_BLACK, _WHITE = 0, 255
CUT_KINDS = ("cut", "jump", "fade_black", "fade_white", "dissolve")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Where one shot goes over into the next: frames ``start`` to ``end`` (exclusive).

    A ``cut`` (between scenes) and a ``jump`` (within one) have no length: ``start`` and ``end``
    are the first frame after it.
    """

    start: int
    end: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A label's span in a film."""

    start_seconds: float
    end_seconds: float
    scene: str
    persons: int
    framing: Framing | None
    kind: str

    @property
    def wanted(self) -> bool:
        """One real person, alone."""
        return self.persons == 1 and self.kind == "real"


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """A file of the labelled set.

    ``purpose`` is ``shots``, ``people`` or ``copies``; ``footage`` is the same for films that show
    the same pictures, however edited.
    """

    name: str
    path: str
    half: Half
    purpose: str
    footage: str
    edit: str
    fps: float
    changes: tuple[Change, ...] = ()
    seen: tuple[Seen, ...] = ()


@dataclass(slots=True)
class Reel:
    """Frames as they are joined, with their truth."""

    fps: float
    frames: Frames = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def join(self, frames: Frames, kind: str, seconds: float = 0.0) -> None:
        """Append a shot; ``seconds`` is the length of a fade's each half, or of the dissolve."""
        count = round(seconds * self.fps)
        at = len(self.frames)
        if not self.frames:
            self.frames = list(frames)
        elif kind in ("cut", "jump"):
            self.frames += frames
            self.changes.append(Change(start=at, end=at, kind=kind))
        elif kind == "dissolve":
            self.frames[-count:] = dissolved(self.frames[-count:], frames[:count])
            self.frames += frames[count:]
            self.changes.append(Change(start=at - count, end=at, kind=kind))
        else:
            level = {"fade_black": _BLACK, "fade_white": _WHITE}[kind]
            self.frames = faded(self.frames, count, level, at_end=True)
            self.frames += faded(frames, count, level, at_end=False)
            self.changes.append(Change(start=at - count, end=at + count, kind=kind))

    def see(self, start: int, end: int, **label: Any) -> None:
        """What is seen on frames ``start`` to ``end`` (exclusive)."""
        self.seen.append(Seen(start_seconds=start / self.fps, end_seconds=end / self.fps, **label))


def write_film(path: Path, frames: Frames, *, fps: float, codec: str, crf: int) -> None:
    """Encode RGB frames of even size, unless the file is there; it appears whole or not at all.

    ``crf`` is the codec's own measure of quality; MPEG-4, which knows none, gets a quantiser of
    ``crf / 4``. One thread, so that the same frames give the same file.
    """
    if path.is_file():
        return
    options = {"crf": str(crf), "preset": "veryfast"}
    if codec == "libvpx-vp9":
        options = {"crf": str(crf), "b:v": "0", "deadline": "realtime", "cpu-used": "8"}
    temporary = path.with_suffix(".part.mp4")
    with av.open(str(temporary), "w", format="mp4") as container:
        rate = Fraction(fps).limit_denominator(1001)
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        stream.codec_context.thread_count = 1
        if codec == "mpeg4":
            stream.codec_context.qmin = stream.codec_context.qmax = max(2, crf // 4)
        if codec == "libx265":
            stream.codec_context.options = {**options, "x265-params": "pools=1:log-level=error"}
        for index, frame in enumerate(frames):
            picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
            picture.pts = index
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    temporary.replace(path)


def read_films(listing: Path) -> list[Film]:
    """Films as ``write_films`` has listed them."""
    return TypeAdapter(list[Film]).validate_json(listing.read_text())


def write_films(listing: Path, films: list[Film]) -> None:
    """Lists films as JSON."""
    listing.write_bytes(TypeAdapter(list[Film]).dump_json(films, indent=1))
