"""What `champ body` draws: a motion read or made, its variants side by side in a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

import numpy as np
from PIL import Image

from dataset.records import BodyTrack
from dataset.storage import location
from dataset.tables import read_row
from dataset.video import write_playable
from rendering.alignment import align, alignment_score
from rendering.body_model import BodyModel
from rendering.camera import default_camera
from rendering.pictures import Look, contact_sheet, draw_bodies, film_grid
from rendering.rasterizer import Rasterizer, open_rasterizer
from rendering.render import TRACK_COLUMNS, read_track
from rendering.sample_motion import SAMPLE_FPS, step_and_wave
from rendering.track import root_path, select_frames, with_root

SUFFIXES = (".png", ".mp4")
_COMMENT = "Drawn by champ-pipeline from a body model; no recording"


@dataclass(frozen=True, slots=True)
class Shown:
    """One variant of a motion under its label."""

    label: str
    track: BodyTrack


@dataclass(frozen=True, slots=True, kw_only=True)
class Studio:
    """The body that is drawn, what draws it, and how; ``whole``: the camera's picture to its edges.

    Otherwise the part where the people are.
    """

    body: BodyModel
    rasterizer: Rasterizer
    height_px: int
    look: Look
    whole: bool


@contextmanager
def open_studio(model: Path | None, *, height_px: int, look: str, whole: bool) -> Iterator[Studio]:
    """A body model with a rasteriser that is closed at the end."""
    rasterizer = open_rasterizer()
    try:
        yield Studio(
            body=BodyModel.load(model),
            rasterizer=rasterizer,
            height_px=height_px,
            look=cast(Look, look),
            whole=whole,
        )
    finally:
        rasterizer.close()


def check_picture(out: Path, look: str) -> None:
    """Refuse before any work what could not be drawn or written after it.

    Raises:
        ValueError: a file that is neither .png nor .mp4, or an unknown look.
    """
    if out.suffix not in SUFFIXES:
        raise ValueError(f"expected a file ending in .png or .mp4, got {out}")
    if look not in get_args(Look):
        raise ValueError(f"expected a look of {', '.join(get_args(Look))}, got {look!r}")


def read_motion(name: str | None, body: BodyModel) -> tuple[BodyTrack, float]:
    """The body of DATASET#CLIP_ID with its frame rate, or the sample motion where none is named.

    Raises:
        ValueError: another form of name, or no such clip.
    """
    if name is None:
        return step_and_wave(body), SAMPLE_FPS
    dataset, _, clip_id = name.rpartition("#")
    if not dataset or not clip_id:
        raise ValueError(f"expected a motion as DATASET#CLIP_ID, got {name!r}")
    row = read_row(location(dataset), "guidance", clip_id, columns=[*TRACK_COLUMNS, "fps"])
    return read_track(row), float(row["fps"])


def read_reference(name: str | None, body: BodyModel) -> BodyTrack:
    """The body of DATASET#CLIP_ID#FRAME (one frame), or a sample one where none is named.

    Raises:
        ValueError: another form of name, no such clip, or a frame that it does not have.
    """
    if name is None:
        return _sample_reference(body)
    clip, _, frame = name.rpartition("#")
    if "#" not in clip or not frame.isdigit():
        raise ValueError(f"expected a reference as DATASET#CLIP_ID#FRAME, got {name!r}")
    track, _ = read_motion(clip, body)
    if int(frame) >= track.frames:
        raise ValueError(f"{clip} has {track.frames} frames, no frame {frame}")
    return select_frames(track, [int(frame)])


def alignments(motion: BodyTrack, reference: BodyTrack, studio: Studio) -> list[Shown]:
    """The motion, the reference, and the motion on it with either placement, with its score."""
    body = studio.body
    drawn = studio.rasterizer.rasterize(body.vertices(reference), body.mesh, reference.camera)
    mask = drawn.mask[0].astype(np.uint8) * 255
    shown = [Shown("motion", motion), Shown("reference", reference)]
    for placement in ("relative", "constant"):
        aligned = align(motion, reference, body, placement=placement)
        score = alignment_score(aligned, mask, body, studio.rasterizer)
        shown.append(
            Shown(f"aligned, {placement} placement: IoU with the reference {score:.2f}", aligned)
        )
    return shown


def write_picture(
    out: Path, shown: Sequence[Shown], studio: Studio, *, columns: int, fps: float
) -> list[str]:
    """Draw the variants into ``out``; what to tell about it: the labels and the file.

    In a picture the cells of one column are of the same frame; where a variant is over before, its
    row ends.
    """
    labels, tracks = [one.label for one in shown], [one.track for one in shown]
    if out.suffix == ".png":
        longest = max(track.frames for track in tracks)
        wanted = np.unique(np.linspace(0, longest - 1, columns).round().astype(int))
        kept = [wanted[wanted < track.frames].tolist() for track in tracks]
        tracks = [select_frames(track, frames) for track, frames in zip(tracks, kept, strict=True)]
    films = draw_bodies(
        tracks, studio.body, studio.rasterizer, studio.height_px, studio.look, whole=studio.whole
    )
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == ".png":
        Image.fromarray(contact_sheet(labels, films)).save(out)
    else:
        write_playable(out, film_grid(labels, films), fps=fps, comment=_COMMENT)
    return [*labels, str(out)]


def _sample_reference(body: BodyModel) -> BodyTrack:
    """Somebody shorter, in mid-stride, at the left of an upright picture."""
    striding = select_frames(step_and_wave(body), [8])
    betas = np.array([-1.5, *np.zeros(9)], np.float32)
    shorter = replace(striding, betas=betas, camera=default_camera(480, 640))
    place = root_path(striding, body) * (0, 1, 1) + np.array([-0.5, 0.3, 0])
    return with_root(shorter, place, body)
