"""Workers that draw side by side, in spawned processes as a job's are, draw what one would."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from dataset.records import BodyTrack, Camera
from rendering.body_model import BodyModel
from rendering.gl_platform import _LIBRARIES, _is_installed
from rendering.maps import BodyMaps
from rendering.rasterizer import Backend
from tests.integration.render_workers import draw_clip, pool_of

SIZES = ((192, 256), (320, 240), (256, 256), (160, 160))


def turning_body(body: BodyModel, camera: Camera, start: int) -> np.ndarray:
    """The vertices of three frames of a body that turns."""
    turns = 0.2 * np.arange(start, start + 3)
    track = BodyTrack(
        betas=np.zeros(10, np.float32),
        # Half a turn about an axis across the picture puts y down; the axis makes the turn.
        global_orient=np.pi * np.stack((np.cos(turns), 0 * turns, np.sin(turns)), -1, dtype="f4"),
        body_pose=np.full((3, 23, 3), 0.05, np.float32),
        transl=np.tile(np.array((0.0, 0.0, 4.0), np.float32), (3, 1)),
        camera=camera,
        reprojection_error_px=np.zeros(3, np.float32),
    )
    return body.vertices(track)


@pytest.mark.parametrize("backend", ["cpu", "egl", "osmesa"])
def test_workers_side_by_side_draw_the_picture_of_one(backend: Backend) -> None:
    """Clips of several sizes: the same bytes from two workers at once as from one process."""
    if backend in _LIBRARIES and not _is_installed(backend):
        pytest.skip(f"{_LIBRARIES[backend]} is not installed")
    body = BodyModel.load()
    cameras = [Camera(focal_length_px=400.0, width=width, height=height) for width, height in SIZES]
    clips = [
        (body.mesh, turning_body(body, camera, start), camera)
        for start, camera in enumerate(cameras)
    ]
    with pool_of(backend, 2) as two, pool_of(backend, 1) as one:
        together = [two.submit(draw_clip, backend, *clip) for clip in clips]
        alone = [one.submit(draw_clip, backend, *clip) for clip in clips]
        for ours, reference in zip(together, alone, strict=True):
            assert reference.result().mask.any()
            for field in fields(BodyMaps):
                np.testing.assert_array_equal(
                    getattr(ours.result(), field.name), getattr(reference.result(), field.name)
                )
