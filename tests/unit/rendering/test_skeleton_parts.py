"""The skeleton part by part: a golden sheet; order and colours by plain geometry."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np
import pytest

from rendering.skeleton import LIMBS, draw_dwpose
from tests.unit.rendering.plain_skeleton import draw_plainly
from tests.unit.rendering.skeleton_sheet import CELL, GOLDEN, cells_of, parts
from tests.unit.rendering.test_skeleton import standing_points


@cache
def _golden() -> dict[str, np.ndarray]:
    picture = cv2.imread(str(GOLDEN), cv2.IMREAD_COLOR)
    assert picture is not None
    return cells_of(picture[..., ::-1])


def _assert_plain(points: np.ndarray, width: int, height: int, *, least_sure: float) -> np.ndarray:
    """The drawing is the formula's wherever that is sure; returns it with its limbs."""
    drawn = draw_dwpose(points[None], width, height)[0]
    plain = draw_plainly(points, width, height)
    sure = ~plain.unsure
    np.testing.assert_array_equal(drawn[sure], plain.colours[sure])
    painted = drawn.any(axis=-1)
    assert (painted & sure).sum() >= least_sure * painted.sum()
    return drawn


@pytest.mark.parametrize("label", parts())
def test_each_part_is_its_golden_cell(label: str) -> None:
    """17 limbs, 18 joints, 20 edges of a hand and the face, pixel by pixel, as was looked at."""
    drawn = draw_dwpose(parts()[label][None], CELL, CELL)[0]
    np.testing.assert_array_equal(drawn, _golden()[label])


@pytest.mark.parametrize("label", parts())
def test_each_part_is_what_the_words_say(label: str) -> None:
    """The same cells against ellipses, discs and lines by formula: place, size and colour."""
    _assert_plain(parts()[label], CELL, CELL, least_sure=0.2)


def test_a_whole_person_is_what_the_words_say() -> None:
    """Body, hands and face of somebody with raised hands, one over the other."""
    _assert_plain(standing_points(), 256, 256, least_sure=0.3)


def test_the_order_of_the_limbs() -> None:
    """Of any two limbs that overlap the later one lies on top, in crowded scenes.

    Of the 136 pairs only the two halves of the shoulders' line never overlap.
    """
    proved = np.zeros((17, 17), bool)
    rng = np.random.default_rng(0)
    for _ in range(120):
        points = np.zeros((133, 3), np.float32)
        points[:17, :2] = rng.uniform(4, 92, (17, 2))
        points[:17, 2] = 1
        drawn = draw_dwpose(points[None], 96, 96)[0]
        plain = draw_plainly(points, 96, 96)
        sure = ~plain.unsure
        np.testing.assert_array_equal(drawn[sure], plain.colours[sure])
        in_the_open = sure & (drawn.max(axis=-1) == 153)  # 0.6 of 255: no joint lies there
        covering = plain.limbs[:, in_the_open]
        top = 16 - covering[::-1].argmax(axis=0)
        for limb in range(17):
            proved[limb] |= covering[:, top == limb].any(axis=1)
    pairs = [(LIMBS[a], LIMBS[b]) for b in range(17) for a in range(b) if not proved[b, a]]
    assert pairs == [(("neck", "right_shoulder"), ("neck", "left_shoulder"))]
