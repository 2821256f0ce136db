"""Frames and boxes of a person to a body track: crops, the network, and the camera."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, UInt8

from dataset.errors import ItemError
from dataset.records import BodyTrack, Camera
from rendering.camera import check_camera, weak_perspective_to_translation
from rendering.hmr2.checkpoint import load_network
from rendering.hmr2.crops import crop_person, normalised, square_boxes
from rendering.hmr2.head import BodyGuess
from rendering.hmr2.settings import Hmr2Settings
from rendering.kinematics import axis_angles
from rendering.smoothing import fill_gaps


class Hmr2Regressor:
    """HMR2 with the weights of a checkpoint."""

    def __init__(self, settings: Hmr2Settings) -> None:
        """Load the checkpoint; raises ``ValueError`` where there is none or it does not fit."""
        if settings.checkpoint is None:
            raise ValueError(
                "the hmr2 fitter needs the 4D-Humans checkpoint: get 'epoch=35-step=1000000.ckpt' "
                "as 'Regressors' in the runbook says and set render.hmr2.checkpoint to its path"
            )
        self.settings = settings
        self._device = _find_device(settings.device)
        network = load_network(settings.checkpoint, settings.backbone, settings.head)
        self._network = network.to(self._device)

    def regress(
        self,
        frames: UInt8[np.ndarray, "frames height width 3"],
        boxes: Float32[np.ndarray, "frames 4"],
        camera: Camera,
    ) -> BodyTrack:
        """A body for every frame, by itself, but with one shape: the median of those with a box.

        Args:
            frames: RGB.
            boxes: The person's, x0, y0, x1, y1 in pixels; a row with NaN or without area is taken
                linearly from its neighbours.
            camera: Of the size of the frames.

        Returns:
            The track; ``reprojection_error_px`` is NaN, for no point was looked at.

        Raises:
            ValueError: Shapes or sizes that do not belong together.
            ItemError: ``fit.no_box`` where no frame has a box, ``fit.regressed`` where the network
                gives a body that is not finite or behind the camera.
        """
        _check(frames, boxes, camera)
        squares = square_boxes(_bridge(boxes))
        guess = self._guess(frames, squares)
        weak = guess.weak_camera.numpy()
        finite = all(part.isfinite().all() for part in (guess.rotations, guess.betas))
        if not (finite and (weak[:, 0] > 0).all() and np.isfinite(weak).all()):
            raise ItemError("fit.regressed", "the regressed body is not finite or not in view")
        rotations = axis_angles(guess.rotations.double().numpy())
        transl = weak_perspective_to_translation(weak, squares, camera)
        return BodyTrack(
            betas=np.median(guess.betas.numpy()[known_boxes(boxes)], axis=0).astype(np.float32),
            global_orient=rotations[:, 0],
            body_pose=rotations[:, 1:],
            transl=transl.astype(np.float32),
            camera=camera,
            reprojection_error_px=np.full(len(frames), np.nan, np.float32),
        )

    @torch.inference_mode()
    def _guess(
        self,
        frames: UInt8[np.ndarray, "frames height width 3"],
        squares: Float[np.ndarray, "frames 3"],
    ) -> BodyGuess:
        """The network's answers for all frames, on the CPU; a batch of crops at a time."""
        answers: list[BodyGuess] = []
        for start in range(0, len(frames), self.settings.batch_size):
            batch = range(start, min(start + self.settings.batch_size, len(frames)))
            crops = np.stack([normalised(crop_person(frames[i], squares[i])) for i in batch])
            answers.append(self._network(torch.from_numpy(crops).to(self._device)))
        return BodyGuess(
            rotations=torch.cat([answer.rotations for answer in answers]).cpu(),
            betas=torch.cat([answer.betas for answer in answers]).cpu(),
            weak_camera=torch.cat([answer.weak_camera for answer in answers]).cpu(),
        )


def known_boxes(boxes: Float32[np.ndarray, "frames 4"]) -> Bool[np.ndarray, " frames"]:
    """Which rows are boxes: finite, with an area."""
    finite = np.isfinite(boxes).all(axis=1)
    return finite & (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])


def _bridge(boxes: Float32[np.ndarray, "frames 4"]) -> Float[np.ndarray, "frames 4"]:
    """Boxes for every frame; those that are not known linearly from their neighbours."""
    known = known_boxes(boxes)
    if not known.any():
        raise ItemError("fit.no_box", "no frame has a box of the person")
    return fill_gaps(boxes[:, None], known[:, None])[:, 0]


def _find_device(name: Literal["auto", "cpu", "cuda"]) -> torch.device:
    """Raises ``ValueError`` where CUDA is asked for and not there."""
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("render.hmr2.device is cuda, but there is no CUDA device; use auto or cpu")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def _check(frames: np.ndarray, boxes: np.ndarray, camera: Camera) -> None:
    check_camera(camera)
    expected = (len(boxes), camera.height, camera.width, 3)
    if not len(boxes) or frames.shape != expected or frames.dtype != np.uint8:
        raise ValueError(
            "expected at least one frame, a box for each and a camera of their size: uint8 "
            f"{expected}, got {frames.dtype} {frames.shape}"
        )
    if boxes.shape != (len(frames), 4):
        raise ValueError(f"expected boxes (frames, 4), got {boxes.shape}")
