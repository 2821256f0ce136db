"""What the silhouette says of the shape."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.motions import PERFECT, make_motion, observe, silhouette
from dataset.records import BodyTrack
from rendering.body_model import BodyModel
from rendering.fitting import KeypointFitter
from rendering.fitting_outline import OutlineFinder
from rendering.fitting_settings import FitSettings, OutlineSettings

BODY = BodyModel.load()
FINDER = OutlineFinder(BODY, OutlineSettings())
TRUTH = make_motion("dance", 12, seed=1)
MASK = silhouette(TRUTH, BODY)


def _stouter(amount: float) -> BodyTrack:
    """The same motion of another shape."""
    return replace(TRUTH, betas=TRUTH.betas + np.float32(amount) * _stoutness())


def test_the_true_shape_is_on_the_outline() -> None:
    """Where body and silhouette agree the rim misses nothing, hundreds of points of it."""
    outline = FINDER.find(TRUTH, MASK)
    assert outline is not None
    assert len(outline.misses) > 500
    assert float(outline.misses.abs().max()) == 0


@pytest.mark.parametrize("amount", [-2.0, 2.0])
def test_misses_are_predicted_by_the_shape(amount: float) -> None:
    """From another shape the outline says how far it misses, and that the true one would not."""
    outline = FINDER.find(_stouter(amount), MASK)
    assert outline is not None
    there = outline.missed(torch.from_numpy(TRUTH.betas).double())
    assert float(there.abs().mean()) < 0.5 * float(outline.misses.abs().mean())


def test_the_silhouette_tells_the_shape() -> None:
    """With the mask the skin of a stout person in the T-pose comes nearer to the truth's."""
    truth = replace(make_motion("dance", 30, seed=4), betas=2 * _stoutness())
    keypoints = observe(truth, BODY, PERFECT, seed=4)
    fitter = KeypointFitter(BODY, FitSettings())
    blind = fitter.fit(keypoints, truth.camera, 30.0)
    seen = replace(keypoints, person_mask=silhouette(truth, BODY))
    seeing = fitter.fit(seen, truth.camera, 30.0)
    assert _skin_apart(seeing, truth) < 0.92 * _skin_apart(blind, truth)


def test_no_person_no_outline() -> None:
    """An empty mask, a full one, and settings that look at no frame say nothing."""
    assert FINDER.find(TRUTH, np.zeros_like(MASK)) is None
    assert FINDER.find(TRUTH, np.full_like(MASK, 255)) is None
    assert OutlineFinder(BODY, OutlineSettings(frames=0)).find(TRUTH, MASK) is None


def test_edges_of_the_picture_are_not_the_persons() -> None:
    """Somebody cut off by the picture: the cut is no outline."""
    near = replace(TRUTH, transl=TRUTH.transl * np.array([1, 1, 0.4], np.float32))
    outline = FINDER.find(near, silhouette(near, BODY))
    assert outline is not None
    assert float(outline.misses.abs().max()) < 3


def test_a_mask_of_another_size_is_refused() -> None:
    """It must be as large as the picture, one a frame."""
    with pytest.raises(ValueError, match="person_mask"):
        FINDER.find(TRUTH, MASK[:, :-1])
    with pytest.raises(ValueError, match="person_mask"):
        FINDER.find(TRUTH, MASK[:-1])


def test_a_silhouette_leaves_a_perfect_fit_alone() -> None:
    """Nothing to correct: the joints stay where perfect points put them."""
    keypoints = observe(TRUTH, BODY, PERFECT, seed=1)
    fitter = KeypointFitter(BODY, FitSettings())
    blind = fitter.fit(keypoints, TRUTH.camera, 30.0)
    seeing = fitter.fit(replace(keypoints, person_mask=MASK), TRUTH.camera, 30.0)
    apart = np.linalg.norm(BODY.joints(blind) - BODY.joints(seeing), axis=-1)
    relative = apart - apart.mean()
    assert np.abs(relative).mean() < 0.02


def _stoutness() -> np.ndarray:
    """The direction of the betas, of length one, that widens the waist and leaves the height."""
    steps = np.eye(10, dtype=np.float32)
    waist = np.array([_waist_m(step) - _waist_m(-step) for step in steps])
    height = np.array([BODY.height_m(step) - BODY.height_m(-step) for step in steps])
    wider = waist - height * (waist @ height) / (height @ height)
    return (wider / np.linalg.norm(wider)).astype(np.float32)


def _skin_apart(one: BodyTrack, other: BodyTrack) -> float:
    skins = [BODY.rest_vertices(track.betas) for track in (one, other)]
    return float(np.linalg.norm(skins[0] - skins[1], axis=-1).mean())


def _waist_m(betas: np.ndarray) -> float:
    """The body's breadth between pelvis and ribs in the T-pose, for its height."""
    skin, joints = BODY.rest_vertices(betas), BODY.rest_joints(betas)
    at = 0.5 * (joints[0, 1] + joints[3, 1])
    return float(np.ptp(skin[np.abs(skin[:, 1] - at) < 0.02, 0])) / BODY.height_m(betas)
