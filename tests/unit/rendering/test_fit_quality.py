"""What is measured of a fit, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.motions import Noise, make_motion, observe
from dataset.errors import ItemError
from rendering.body_model import BodyModel
from rendering.fit_quality import (
    check_acceleration,
    check_overlap,
    check_reprojection,
    joint_acceleration,
    silhouette_overlap,
)
from rendering.fitting import KeypointFitter
from rendering.fitting_settings import FitSettings, TermSettings
from rendering.render import open_fitter
from rendering.settings import FitLimits, RenderSettings

BODY = BodyModel.load()
LIMITS = FitLimits()


def test_constant_acceleration_is_itself() -> None:
    """Joints that fall by 9.81 m/s^2 against a pelvis that walks on evenly."""
    time = np.arange(30)[:, None, None] / 25
    joints = np.zeros((30, 24, 3)) + time * [1.0, 0, 0]
    joints[:, 1:] += 0.5 * 9.81 * time**2 * [0, 1.0, 0]
    found = joint_acceleration(joints.astype(np.float32), 25.0)
    assert found == pytest.approx(9.81 * 23 / 24, rel=1e-2)
    assert joint_acceleration(joints[:2].astype(np.float32), 25.0) == 0


def test_people_pass_and_flickering_bodies_do_not() -> None:
    """A dancer's fit is calm enough; the same points fitted frame by frame are not."""
    truth = make_motion("dance", 40, seed=2)
    keypoints = observe(truth, BODY, replace(Noise(), pixels=6.0), seed=2)
    calm = KeypointFitter(BODY, FitSettings()).fit(keypoints, truth.camera, 30.0)
    check_acceleration(joint_acceleration(BODY.joints(calm), 30.0), LIMITS)
    free = TermSettings(
        turn_acceleration=1e5, trunk_acceleration=1e5, place_acceleration=1e5,
        depth_acceleration=1e5,
    )  # fmt: skip
    unsteady = FitSettings(terms=free, smoothing_seconds=0, calmest=1)
    wild = KeypointFitter(BODY, unsteady).fit(keypoints, truth.camera, 30.0)
    with pytest.raises(ItemError, match="flickers") as refused:
        check_acceleration(joint_acceleration(BODY.joints(wild), 30.0), LIMITS)
    assert (refused.value.kind, refused.value.status) == ("fit.jitter", "rejected")


def test_a_body_beside_the_points_is_refused() -> None:
    """The limit is a share of the person's height; frames without a box or a point do not count."""
    truth = make_motion("walk", 4, seed=1)
    boxes = np.tile(np.array([0, 0, 100, 400], np.float32), (4, 1))
    boxes[0] = np.nan
    error = np.array([np.nan, 19, 19, 900], np.float32)
    check_reprojection(replace(truth, reprojection_error_px=error), boxes, LIMITS)
    with pytest.raises(ItemError, match=r"more than 20\.0 px") as refused:
        check_reprojection(replace(truth, reprojection_error_px=error + 2), boxes, LIMITS)
    assert (refused.value.kind, refused.value.status) == ("fit.reprojection", "rejected")
    blind = np.full(4, np.nan, np.float32)
    with pytest.raises(ItemError), pytest.warns(RuntimeWarning):
        check_reprojection(replace(truth, reprojection_error_px=blind), boxes, LIMITS)


def test_overlap_counts_pixels() -> None:
    """Two squares that share a quarter of their union; nothing at all is no overlap."""
    mask = np.zeros((2, 8, 8, 1), np.uint8)
    person = np.zeros((2, 8, 8), np.uint8)
    mask[0, :4, :5], person[0, :4, 3:8] = 255, 255
    assert silhouette_overlap(mask, person).tolist() == [pytest.approx(8 / 32), 0]
    check_overlap(0.5, LIMITS)
    for iou in (0.49, float("nan")):
        with pytest.raises(ItemError, match="IoU") as refused:
            check_overlap(iou, LIMITS)
        assert (refused.value.kind, refused.value.status) == ("fit.iou", "rejected")


def test_the_named_fitter_is_opened() -> None:
    """The built-in one needs nothing; HMR2 says what it needs."""
    assert isinstance(open_fitter(RenderSettings(), BODY), KeypointFitter)
    with pytest.raises(ValueError, match=r"render\.hmr2\.checkpoint"):
        open_fitter(RenderSettings(fitter="hmr2"), BODY)
