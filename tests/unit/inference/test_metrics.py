"""Metrics against closed-form answers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from inference.metrics import l1, motion_energy, psnr, ssim


def _flat(value: int, frames: int = 2) -> np.ndarray:
    return np.full((frames, 16, 16, 3), value, np.uint8)


@given(st.integers(0, 255), st.integers(0, 255))
def test_psnr_and_l1_of_flat_pictures(a, b):
    """A constant difference d: L1 is d / 255, PSNR is 20 log10(255 / d), with no overflow."""
    difference = abs(a - b)
    assert l1(_flat(a), _flat(b)) == pytest.approx(difference / 255)
    expected = 20 * np.log10(255 / difference) if difference else np.inf
    assert psnr(_flat(a), _flat(b)) == pytest.approx(expected)


def test_psnr_inside_a_mask_sees_only_the_mask():
    """An error outside the mask does not count; one inside counts as if there were nothing else."""
    a, b = _flat(100), _flat(100)
    b[:, :8] = 130
    mask = np.zeros((2, 16, 16), bool)
    mask[:, :8] = True
    assert psnr(a, b, mask) == pytest.approx(20 * np.log10(255 / 30))
    assert psnr(a, b, ~mask) == np.inf


def test_frames_without_a_body_do_not_count_in_the_mask():
    """An empty mask in one frame neither divides by zero nor weighs in."""
    a, b = _flat(100), _flat(110)
    mask = np.zeros((2, 16, 16), bool)
    mask[0] = True
    assert psnr(a, b, mask) == pytest.approx(20 * np.log10(255 / 10))


def test_ssim_is_one_for_equal_pictures_and_falls_with_noise():
    """Identity is 1, more noise is less similar."""
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (1, 32, 32, 3), np.uint8)
    little = np.clip(picture + rng.normal(0, 5, picture.shape), 0, 255).astype(np.uint8)
    much = np.clip(picture + rng.normal(0, 60, picture.shape), 0, 255).astype(np.uint8)
    assert ssim(picture, picture) == pytest.approx(1)
    assert 1 > ssim(picture, little) > ssim(picture, much)


def test_motion_energy_is_the_mean_change_where_the_body_ever_is():
    """Half of the body's region flips by 51 of 255 every frame: energy 0.1; a still one has 0."""
    frames = _flat(0, frames=3)
    mask = np.zeros((3, 16, 16), bool)
    mask[:, :8] = True
    frames[1, :4] = 51
    frames[:, 8:] = np.arange(3, dtype=np.uint8)[:, None, None, None] * 90  # outside: no matter
    assert motion_energy(frames, mask) == pytest.approx(0.1)
    assert motion_energy(_flat(9, 3), mask) == 0
