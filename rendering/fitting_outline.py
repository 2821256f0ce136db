"""What the person's outline in the picture says of the body's shape.

Joints hardly tell a thin body from a stout one; the silhouette does. In some frames of the clip
points of the skin that lie on the drawn body's rim are compared with the nearest edge of the
person's mask. A part of the body that is off as a whole is the pose's matter, so what moving each
part within the picture explains is taken out; the rest is how stout the part is. That is nearly
linear in the betas: an outline is a small least-squares problem in the shape alone, found anew when
pose and shape have settled.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Float64, Int, UInt8
from torch import Tensor

from dataset.records import SMPL_JOINTS, BodyTrack, Camera
from rendering.body_model import BodyModel
from rendering.body_points import skin_points
from rendering.camera import project
from rendering.fitting_body import moved_by_betas
from rendering.fitting_settings import OutlineSettings
from rendering.kinematics import forward_kinematics, rotation_matrices
from rendering.maps import draw_body
from rendering.mesh import vertex_normals
from rendering.rasterizer import Rasterizer, open_rasterizer
from rendering.track import select_frames

_NOT_BARE = ("head", "neck", "wrist", "hand", "ankle", "foot")
"""Hair, hands and shoes are not the body's own outline."""

_LEAST_RIM = 5
"""Points on the rim of a part from which its girth can be told, beside its place."""

_EDGE_ON = 0.35
"""A skin point is on the rim where the cosine of its normal to the line of sight is under this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outline:
    """How far the rim misses the person's edge, in deviations, and how that depends on the shape.

    ``misses`` are those with ``betas``; with others they are
    ``misses + by_betas @ (others - betas)``.
    """

    betas: Float64[Tensor, " 10"]
    misses: Float64[Tensor, " points"]
    by_betas: Float64[Tensor, "points 10"]
    weights: Float64[Tensor, " points"]

    def missed(self, betas: Float64[Tensor, " 10"]) -> Float64[Tensor, " points"]:
        """The misses with another shape."""
        return self.misses + self.by_betas @ (betas - self.betas)


class OutlineFinder:
    """Finds outlines of one body; keeps a rasteriser and the skin points it tries."""

    def __init__(self, body: BodyModel, settings: OutlineSettings) -> None:
        self._body, self._settings = body, settings
        self._rasterizer: Rasterizer = open_rasterizer("cpu")
        self._tried = _spread_vertices(body, settings.points)
        self._points = skin_points(body, self._tried).double()

    def find(
        self, track: BodyTrack, person_mask: UInt8[np.ndarray, "frames height width"]
    ) -> Outline | None:
        """The outline of a fitted track; None where no frame shows the person's edge.

        ``person_mask`` is 255 on the person, at the size of the track's camera.

        Raises:
            ValueError: a mask of another size or number of frames.
        """
        camera = track.camera
        if person_mask.shape != (track.frames, camera.height, camera.width):
            raise ValueError(
                f"expected person_mask of {(track.frames, camera.height, camera.width)} as the "
                f"picture, got {person_mask.shape}"
            )
        chosen = _frames_with_person(person_mask, self._settings.frames)
        if not len(chosen):
            return None
        some = select_frames(track, chosen.tolist())
        vertices = self._body.vertices(some)
        drawn = draw_body(self._rasterizer, self._body.mesh, vertices, camera).mask[..., 0] > 0
        height_px = self._body_height_px(track)
        found = [
            self._frame(vertices[index], drawn[index], person_mask[frame] > 127, camera, height_px)
            for index, frame in enumerate(chosen)
        ]
        lines = np.stack([line for line, _ in found])
        weights = torch.from_numpy(np.stack([weight for _, weight in found])).double()
        if not (weights > 0).any():
            return None
        # As if every frame had been looked at: that is how much the prior of the shape weighs.
        weights = weights * (track.frames / len(chosen))
        return self._outline(some, vertices, lines, weights, height_px)

    def _frame(
        self,
        vertices: Float32[np.ndarray, "vertices 3"],
        drawn: Bool[np.ndarray, "height width"],
        person: Bool[np.ndarray, "height width"],
        camera: Camera,
        height_px: float,
    ) -> tuple[Float[np.ndarray, "points 3"], Float[np.ndarray, " points"]]:
        """Per point (normal x, normal y, signed distance to the edge in pixels), and its weight."""
        places = vertices[self._tried]
        image = project(places, camera)
        normals = vertex_normals(vertices[None], self._body.mesh.triangles)[0, self._tried]
        sight = places / np.linalg.norm(places, axis=1, keepdims=True)
        edge_on = np.abs((normals * sight).sum(1)) < _EDGE_ON
        outwards = (
            normals[:, :2] / np.maximum(np.linalg.norm(normals[:, :2], axis=1), 1e-9)[:, None]
        )
        beyond = image + 0.012 * height_px * outwards
        edge_on &= _looked_up(drawn, beyond) == 0
        reach = self._settings.reach * height_px
        distance = _signed_distance(person, reach)
        # Against the drawn body's own edge, as these points lie a little inside of it.
        away = _looked_up(distance - _signed_distance(drawn, reach), image)
        slope = _slope(distance, reach)
        toward = np.stack([_looked_up(slope[..., axis], image) for axis in range(2)], 1)
        toward /= np.maximum(np.linalg.norm(toward, axis=1, keepdims=True), 1e-9)
        edge = image - away[:, None] * toward
        margin = 0.01 * height_px
        inside = ((edge > margin) & (edge < [camera.width - margin, camera.height - margin])).all(1)
        good = edge_on & inside & ((toward * outwards).sum(1) > 0.5)
        good &= np.abs(away) < reach
        return np.concatenate([toward, away[:, None]], 1), good.astype(float)

    def _outline(
        self,
        track: BodyTrack,
        vertices: Float32[np.ndarray, "frames vertices 3"],
        lines: Float[np.ndarray, "frames points 3"],
        weights: Float64[Tensor, "frames points"],
        height_px: float,
    ) -> Outline:
        betas = torch.from_numpy(track.betas).double()
        pose = np.concatenate([track.global_orient[:, None], track.body_pose], axis=1)
        rotations = rotation_matrices(torch.from_numpy(pose).double())
        _, turned = forward_kinematics(rotations, self._points.rest_joints(betas))
        moved = moved_by_betas(self._points, turned)  # from the root, which stays
        places = torch.from_numpy(vertices[:, self._tried]).double()
        depth, focal = places[..., 2:], track.camera.focal_length_px
        ray = places[..., :2] / depth
        across = (moved[..., :2, :] - ray[..., None] * moved[..., 2:, :]) * focal
        across = across / depth[..., None]
        normals = torch.from_numpy(lines[..., :2]).double()
        misses = torch.from_numpy(lines[..., 2:]).double()
        rows = torch.cat([misses, (normals[..., None] * across).sum(-2)], -1)
        rows, weights = _without_moves(rows, normals, weights, self._points.owners)
        used = weights > 0
        rows = rows[used] / (self._settings.deviation * height_px)
        return Outline(
            betas=betas,
            misses=rows[:, 0],
            by_betas=rows[:, 1:],
            weights=weights[used] * self._settings.weight,
        )

    def _body_height_px(self, track: BodyTrack) -> float:
        depth = float(np.median(track.transl[:, 2]))
        return track.camera.focal_length_px * self._body.height_m(track.betas) / depth


def _without_moves(
    rows: Float64[Tensor, "frames points d"],
    normals: Float64[Tensor, "frames points 2"],
    weights: Float64[Tensor, "frames points"],
    owners: list[int],
) -> tuple[Float64[Tensor, "frames points d"], Float64[Tensor, "frames points"]]:
    """Rows less what the best move of each part in the picture explains; parts seen by few go."""
    rows, weights = rows.clone(), weights.clone()
    owner = torch.tensor(owners)
    for frame in range(len(rows)):
        for part in set(owners):
            here = (owner == part) & (weights[frame] > 0)
            if int(here.sum()) < _LEAST_RIM:
                weights[frame, here] = 0
                continue
            along, pull = normals[frame, here], weights[frame, here, None]
            square = along.T @ (pull * along) + 1e-6 * torch.eye(2).to(along)
            move = torch.linalg.solve(square, along.T @ (pull * rows[frame, here]))
            rows[frame, here] -= along @ move
    return rows, weights


def _frames_with_person(
    person_mask: UInt8[np.ndarray, "frames height width"], most: int
) -> Int[np.ndarray, " chosen"]:
    """At most so many frames, evenly over those in which the person is seen."""
    seen = np.flatnonzero([mask.any() and not mask.all() for mask in person_mask])
    if most == 0 or len(seen) == 0:
        return seen[:0]
    return seen[np.unique(np.linspace(0, len(seen) - 1, most).round().astype(int))]


def _signed_distance(
    person: Bool[np.ndarray, "height width"], reach: float
) -> Float32[np.ndarray, "height width"]:
    """Pixels to the person's edge, negative inside; no further than twice the reach."""
    inside = person.astype(np.uint8)
    outer = cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5)
    inner = cv2.distanceTransform(inside, cv2.DIST_L2, 5)
    # The edge runs between pixel centres, half a pixel from those on both sides.
    distance = np.clip(np.where(person, 0.5 - inner, outer - 0.5), -2 * reach, 2 * reach)
    return distance.astype(np.float32)


def _slope(
    distance: Float32[np.ndarray, "height width"], reach: float
) -> Float32[np.ndarray, "height width 2"]:
    """The direction in which the distance to the edge grows, x and y."""
    smooth = cv2.GaussianBlur(distance, (0, 0), max(1.0, reach / 8))
    return np.stack([cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)], -1)


def _looked_up(
    picture: np.ndarray, image: Float[np.ndarray, "points 2"]
) -> Float[np.ndarray, " points"]:
    """The picture's values at image positions; 0 outside."""
    height, width = picture.shape
    finite = np.nan_to_num(image, nan=-1.0)
    column, row = np.floor(np.clip(finite, -1, [width, height])).astype(int).T
    within = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    values = picture[np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)]
    return np.where(within, values, 0)


def _spread_vertices(body: BodyModel, count: int) -> Int[np.ndarray, " points"]:
    """Vertices of the body's bare parts, evenly over the list of them."""
    names = [name.rpartition("_")[2] for name in SMPL_JOINTS]
    bare = [index for index, name in enumerate(names) if name not in _NOT_BARE]
    of_skin = np.unique(body.mesh.triangles)
    of_skin = of_skin[np.isin(body.mesh.vertex_parts[of_skin], bare)]
    return of_skin[np.linspace(0, len(of_skin) - 1, min(count, len(of_skin))).astype(int)]
