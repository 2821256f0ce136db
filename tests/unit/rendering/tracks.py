"""Random bodies in motion, for claims that hold for every track."""

from __future__ import annotations

import numpy as np

from dataset.records import BodyTrack, Camera


def random_track(seed: int, frames: int, *, nearest: float = 1.5) -> BodyTrack:
    """Any shape, any pose, any orientation; ``nearest`` to 60 m before a camera of any size.

    The root wanders by a tenth of its first distance, so that nobody gets behind the camera.
    """
    random = np.random.default_rng(seed)
    side = random.integers(64, 1025, 2)
    start = random.uniform((-1.0, -1.0, nearest), (1.0, 1.0, 60.0))
    path = start + random.uniform(-0.1, 0.1, (frames, 3)) * start[2]
    return BodyTrack(
        betas=random.uniform(-3, 3, 10).astype(np.float32),
        global_orient=random.uniform(-2, 2, (frames, 3)).astype(np.float32),
        body_pose=random.uniform(-1, 1, (frames, 23, 3)).astype(np.float32),
        transl=path.astype(np.float32),
        camera=Camera(
            focal_length_px=float(random.uniform(100, 20000)),
            width=int(side[0]),
            height=int(side[1]),
        ),
        reprojection_error_px=random.uniform(0, 9, frames).astype(np.float32),
    )
