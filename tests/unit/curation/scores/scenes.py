"""Pictures made of numbers, whose scores are known."""

from __future__ import annotations

import cv2
import numpy as np

from curation.people.detector import PersonBox


def textured(height: int, width: int, *, seed: int = 0, grain_px: float = 4.0) -> np.ndarray:
    """An RGB picture of smooth random blotches, as a wall of leaves: corners everywhere."""
    noise = np.random.default_rng(seed).normal(size=(height, width, 3)).astype(np.float32)
    smooth = cv2.GaussianBlur(noise, (0, 0), grain_px)
    spread = smooth / max(float(smooth.std()), 1e-6)
    return np.clip(128 + 45 * spread, 0, 255).astype(np.uint8)


def grey_of(picture: np.ndarray) -> np.ndarray:
    """Its grey levels."""
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def person(box: tuple[float, float, float, float]) -> PersonBox:
    """Somebody in a box, all points in its middle and seen."""
    corners = np.array(box, np.float32)
    points = np.ones((23, 3), np.float32)
    points[:, :2] = (corners[:2] + corners[2:]) / 2
    return PersonBox(box=corners, score=1.0, points=points)


def panned(picture: np.ndarray, frames: int, step_px: float, *, width: int) -> list[np.ndarray]:
    """Windows of a wide picture, each ``step_px`` further right than the one before."""
    height = picture.shape[0]
    moves = [np.array([[1, 0, -step_px * t], [0, 1, 0]]) for t in range(frames)]
    return [cv2.warpAffine(picture, move, (width, height)) for move in moves]


def zoomed(picture: np.ndarray, frames: int, step: float) -> list[np.ndarray]:
    """A photo zoomed into by a share ``step`` of its size a frame (the Ken Burns effect)."""
    height, width = picture.shape[:2]
    shots = []
    for t in range(frames):
        scale = 1 + step * t
        move = cv2.getRotationMatrix2D((width / 2, height / 2), 0, scale)
        shots.append(
            cv2.warpAffine(
                picture,
                move,
                (width, height),
                flags=cv2.INTER_CUBIC,
                borderMode=cv2.BORDER_REFLECT,
            )
        )
    return shots
