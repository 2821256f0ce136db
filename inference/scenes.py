"""What an animation shows and how: a manifest row's picture, its maps, and their framing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from curation.people.mediapipe import MediaPipeDetector
from curation.people.settings import PeopleSettings
from dataset.crop import Crop, person_crop
from dataset.errors import ItemError
from dataset.records import BodyTrack
from dataset.storage import Location
from inference.framing import Framing, PersonFraming, StretchedFraming
from inference.manifest import AnimationRow, map_folder_of, own_frame
from inference.map_folder import open_map_folder
from inference.map_source import DrawnMaps, MapSource
from inference.motion import BodyReader, Motion, Reference, skeleton_points
from inference.picture_files import read_reference
from inference.settings import AnimateSettings
from rendering.alignment import align, alignment_score
from rendering.body_model import BodyModel
from rendering.rasterizer import Rasterizer, open_rasterizer
from rendering.render import open_fitter
from rendering.settings import RenderSettings
from rendering.track import select_frames


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A reference picture and the maps that it is to follow, in the pixels of one framing."""

    picture: UInt8[np.ndarray, "height width 3"]
    maps: MapSource
    framing: Framing
    fps: float
    alignment_iou: float | None = None


class SceneMaker:
    """Makes scenes of manifest rows; what fits and draws bodies is loaded for the first such row.

    Args:
        maps: The network's, in its order.
    """

    def __init__(
        self,
        settings: AnimateSettings,
        render: RenderSettings,
        people: PeopleSettings,
        *,
        root: Location,
        guidance_recipe: str | None,
        maps: tuple[str, ...],
    ) -> None:
        self._settings, self._render, self._people = settings, render, people
        self._root, self._guidance_recipe = root, guidance_recipe
        self._maps = maps

    def scene(self, row: AnimationRow) -> Scene:
        """The scene of a row.

        Raises:
            ItemError: The reference or the motion cannot be read, shows nobody, or has no such
                frames; a folder of maps lacks one, or they do not fit the picture.
        """
        folder = map_folder_of(row.motion)
        return self._of_bodies(row) if folder is None else self._of_folder(row, folder)

    def _of_folder(self, row: AnimationRow, folder: Path) -> Scene:
        """Ready maps, taken as they are: nothing is fitted or aligned."""
        if not os.path.isfile(row.reference):
            raise ItemError(
                "animate.reference",
                f"with a folder of maps the reference is a picture file, got {row.reference!r}",
            )
        picture = read_reference(Path(row.reference))
        maps = open_map_folder(folder, self._maps)
        maps = maps.span(_span(row, maps.frames))
        height, width = picture.shape[:2]
        if self._settings.framing == "stretched":
            framing = self._stretched(picture)
        elif (maps.width, maps.height) != (width, height):
            raise ItemError(
                "animate.maps",
                f"{row.motion} has maps of {maps.width} x {maps.height}, {row.reference} is "
                f"{width} x {height}: animate.framing=person needs one size, stretched takes any",
            )
        else:
            framing = PersonFraming(crop=self._drawn_crop(maps, row), size=self._settings.size)
        return Scene(picture=picture, maps=maps, framing=framing, fps=self._settings.fps)

    def _of_bodies(self, row: AnimationRow) -> Scene:
        """The motion's body with the reference's shape and place, drawn."""
        reference = self._bodies.reference(row.reference)
        motion = self._bodies.motion(row.motion)
        frames = _span(row, motion.track.frames)
        own = own_frame(row.reference, row.motion)
        placed = self._place(reference, motion, frames, start=frames[0] if own is None else own)
        maps = self._draw(motion, frames, select_frames(placed, range(1, placed.frames)))
        stretched = self._settings.framing == "stretched"
        return Scene(
            picture=reference.whole if stretched else reference.picture,
            maps=maps,
            framing=self._stretched(reference.whole)
            if stretched
            else PersonFraming(crop=self._crop(reference, maps), size=self._settings.size),
            fps=motion.fps,
            alignment_iou=self._score(placed, reference),
        )

    def _place(self, reference: Reference, motion: Motion, frames: range, start: int) -> BodyTrack:
        """The reference's body where it stands in frame ``start``, then in the ``frames``.

        The path begins at the reference's place: in the first frame, or, where the reference is a
        frame of the same clip, in that one.
        """
        moving = select_frames(motion.track, [start, *frames])
        return align(moving, reference.track, self._body, placement=self._settings.placement)

    def _score(self, placed: BodyTrack, reference: Reference) -> float | None:
        if reference.person_mask is None:
            return None
        return alignment_score(placed, reference.person_mask, self._body, self._rasterizer)

    def _draw(self, motion: Motion, frames: range, aligned: BodyTrack) -> DrawnMaps:
        """The frames of a motion made by the reference's body, as large as the reference is."""
        skeleton = self._settings.skeleton
        return DrawnMaps(
            names=self._maps,
            track=aligned,
            points=skeleton_points(motion, frames, aligned, self._body, skeleton=skeleton),
            body=self._body,
            rasterizer=self._rasterizer,
        )

    def _crop(self, reference: Reference, maps: MapSource) -> Crop:
        """A clip's own boxes, or the picture's and all that the body will cover."""
        drawn = None if len(reference.boxes) > 1 else maps.extent()
        boxes = reference.boxes if drawn is None else np.concatenate([reference.boxes, drawn])
        return person_crop(boxes, margin=self._settings.margin)

    def _drawn_crop(self, maps: MapSource, row: AnimationRow) -> Crop:
        drawn = maps.extent()
        if drawn is None:
            raise ItemError("animate.maps", f"nothing is drawn on the maps of {row.motion}")
        return person_crop(drawn, margin=self._settings.margin)

    def _stretched(self, picture: UInt8[np.ndarray, "height width 3"]) -> StretchedFraming:
        height, width = picture.shape[:2]
        return StretchedFraming(size=self._settings.size, width=width, height=height)

    @cached_property
    def _body(self) -> BodyModel:
        return BodyModel.load(self._render.body_model)

    @cached_property
    def _rasterizer(self) -> Rasterizer:
        return open_rasterizer(self._render.backend, self._render.device_index)

    @cached_property
    def _bodies(self) -> BodyReader:
        return BodyReader(
            root=self._root,
            guidance_recipe=self._guidance_recipe,
            detector=MediaPipeDetector(self._people),
            fitter=open_fitter(self._render, self._body),
            max_side=self._render.max_side,
            fps=self._settings.fps,
            subject=self._settings.subject,
        )


def _span(row: AnimationRow, frames: int) -> range:
    """The frames of the motion that are to be drawn."""
    span = range(frames)[row.start_frame : row.end_frame]
    if not span:
        raise ItemError(
            "animate.span",
            f"{row.animation_id}: frames {row.start_frame} to {row.end_frame} leave nothing of a "
            f"motion of {frames} frames",
        )
    return span
