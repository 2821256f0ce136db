"""Pictures of bodies in motion for people to look at: shaded bodies, contact sheets, films."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw, ImageFont

from dataset.records import SMPL_JOINTS, BodyTrack, Camera
from rendering.body_model import BodyModel
from rendering.buffers import Buffers
from rendering.camera import project
from rendering.maps import draw_depth, draw_normal, draw_semantic_map
from rendering.rasterizer import Rasterizer
from rendering.track import select_frames

Frames = UInt8[np.ndarray, "frames height width 3"]
Picture = UInt8[np.ndarray, "height width 3"]
Look = Literal["shaded", "normal", "semantic_map", "depth"]

PAPER, GROUND, INK = 255, 236, 40
GAP_PX = 4
LABEL_PX = 20
_SIDE_COLOURS = {"left": (88, 142, 214), "right": (230, 146, 82), "": (206, 206, 210)}
_LIGHT = np.array((-0.42, -0.62, -0.66), np.float32)  # towards it: from above, left of the camera
_SKIN_M = 0.3  # around the joints
_FINER = 2  # drawn so many times larger, then averaged
_LARGEST_PX = 2048
_POSED_AT_ONCE = 16  # frames


@dataclass(frozen=True, slots=True, kw_only=True)
class _View:
    """A rectangle of a camera's picture, in pixels of that camera."""

    camera: Camera
    left: int
    top: int
    width: int
    height: int


def draw_bodies(
    tracks: Sequence[BodyTrack],
    body: BodyModel,
    rasterizer: Rasterizer,
    height_px: int = 200,
    look: Look = "shaded",
    *,
    whole: bool = False,
) -> list[Frames]:
    """Every frame of every track, ``height_px`` high, showing the part where the people are.

    Tracks of one camera show the same part of its picture, so that places and sizes compare; with
    ``whole`` it is all of it. ``shaded`` has the left side of the body blue and the right one
    orange; the other looks are the guidance maps.

    Raises:
        ValueError: an unknown look, a height under 16 pixels, or bodies outside of the picture.
    """
    if look not in get_args(Look):
        raise ValueError(f"expected a look of {get_args(Look)}, got {look!r}")
    if height_px < 16:
        raise ValueError(f"expected a height of at least 16 pixels, got {height_px}")
    films = []
    for track in tracks:
        beside = [other for other in tracks if other.camera == track.camera]
        view = _common_view(beside, body, _FINER * height_px, whole=whole)
        size = (max(1, round(view.width * height_px / view.height)), height_px)
        cells = _draw_film(track, body, rasterizer, view, look=look)
        films.append(np.stack([cv2.resize(c, size, interpolation=cv2.INTER_AREA) for c in cells]))
    return films


def contact_sheet(labels: Sequence[str], films: Sequence[Frames]) -> Picture:
    """One row a film, its frames side by side under its label."""
    rows = []
    for label, film in zip(labels, films, strict=True):
        cells = np.pad(film, ((0, 0), (0, 0), (0, GAP_PX), (0, 0)), constant_values=PAPER)
        rows.append(_labelled(label, np.concatenate(list(cells), axis=1)))
    return _stack(rows)


def film_grid(labels: Sequence[str], films: Sequence[Frames], columns: int = 4) -> Frames:
    """The films playing side by side, ``columns`` a row; who is through stays on the last frame."""
    length = max(len(film) for film in films)
    pictures = []
    for index in range(length):
        panels = [
            _labelled(label, film[min(index, len(film) - 1)])
            for label, film in zip(labels, films, strict=True)
        ]
        rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
        pictures.append(_stack([_stack(row, sideways=True) for row in rows]))
    return np.stack(pictures)


def shade_sides(buffers: Buffers) -> Frames:
    """Bodies lit from above: left side blue, right side orange, the middle grey."""
    sides = (name.rpartition("_")[0] for name in SMPL_JOINTS)
    colours = np.array([*(_SIDE_COLOURS[side] for side in sides), (GROUND,) * 3], np.float32)
    lit = 0.4 + 0.6 * np.clip(buffers.normal @ _LIGHT, 0, 1)
    lit[~buffers.mask] = 1.0  # part -1 is the last colour
    return (colours[buffers.part] * lit[..., None] + 0.5).astype(np.uint8)


def _draw_film(
    track: BodyTrack, body: BodyModel, rasterizer: Rasterizer, view: _View, *, look: Look
) -> Iterator[Picture]:
    """The view of every frame, each at the size it was drawn."""
    draw = {
        "shaded": shade_sides, "normal": draw_normal, "semantic_map": draw_semantic_map,
        "depth": draw_depth,
    }[look]  # fmt: skip
    rows, columns = view.top + view.height, view.left + view.width
    for start in range(0, track.frames, _POSED_AT_ONCE):
        posed = range(start, min(start + _POSED_AT_ONCE, track.frames))
        for vertices in body.vertices(select_frames(track, posed)):
            buffers = rasterizer.rasterize(vertices[None], body.mesh, view.camera)
            picture = draw(buffers)[0, view.top : rows, view.left : columns]
            yield np.repeat(picture, 3, axis=-1) if picture.shape[-1] == 1 else picture


def _common_view(
    tracks: Sequence[BodyTrack], body: BodyModel, height_px: int, *, whole: bool
) -> _View:
    """Where all these bodies are, in their camera's picture scaled so that this is so high."""
    camera = tracks[0].camera
    low, high = np.zeros(2), np.array((camera.width, camera.height), np.float64)
    if not whole:
        corners = np.concatenate([_outline(body.joints(track), camera) for track in tracks])
        low, high = np.maximum(corners.min(axis=0), low), np.minimum(corners.max(axis=0), high)
    if not (high > low).all():
        raise ValueError("expected bodies in the camera's picture, got them outside of it")
    longest = max(camera.width, camera.height)
    scale = min(height_px / float(high[1] - low[1]), _LARGEST_PX / longest)
    left, top = np.floor(low * scale).astype(int)
    width, height = np.maximum(1, np.ceil((high - low) * scale)).astype(int)
    scaled = replace(
        camera,
        focal_length_px=camera.focal_length_px * scale,
        width=max(1, round(camera.width * scale)),
        height=max(1, round(camera.height * scale)),
    )
    return _View(camera=scaled, left=int(left), top=int(top), width=int(width), height=int(height))


def _outline(joints: np.ndarray, camera: Camera) -> np.ndarray:
    """Corners, in pixels, around the joints and what skin they wear."""
    reach = np.array([(-_SKIN_M, -_SKIN_M, 0), (_SKIN_M, _SKIN_M, 0)], np.float32)
    before = joints[joints[..., 2] > _SKIN_M]
    return project(np.concatenate([before + reach[0], before + reach[1]]), camera)


def _labelled(label: str, picture: Picture) -> Picture:
    strip = Image.new("RGB", (picture.shape[1], LABEL_PX), (PAPER,) * 3)
    font = ImageFont.load_default(13)
    ImageDraw.Draw(strip).text((4, 2), label, fill=(INK,) * 3, font=font)
    return np.concatenate([np.asarray(strip), picture])


def _stack(pictures: Sequence[Picture], sideways: bool = False) -> Picture:
    """Pictures under each other, or side by side, the smaller ones filled up with paper."""
    along, across = (1, 0) if sideways else (0, 1)
    widest = max(picture.shape[across] for picture in pictures)
    padded = []
    for picture in pictures:
        room = [(0, 0), (0, 0), (0, 0)]
        room[across] = (0, widest - picture.shape[across])
        room[along] = (0, GAP_PX)
        padded.append(np.pad(picture, room, constant_values=PAPER))
    return np.concatenate(padded, axis=along)
