"""Boxes: decoding, overlap and merging, against closed forms and a slow count of cells."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.people.anchors import (
    anchor_centres,
    box_overlap,
    decode,
    merge_overlapping,
    share_inside,
)

_corner = st.integers(0, 12)
_boxes = st.lists(st.tuples(_corner, _corner, _corner, _corner), min_size=1, max_size=4)


def _cells(box: np.ndarray) -> np.ndarray:
    y, x = np.mgrid[:12, :12] + 0.5
    return (x > box[0]) & (x < box[2]) & (y > box[1]) & (y < box[3])


def test_anchor_counts_are_the_networks() -> None:
    """The published networks have 2254 (people) and 896 (faces) anchors, all inside."""
    people = anchor_centres(224, ((8, 2), (16, 2), (32, 6)))
    faces = anchor_centres(128, ((8, 2), (16, 6)))
    assert (len(people), len(faces)) == (2254, 896)
    assert people.min() > 0
    assert people.max() < 1


@given(_boxes, _boxes)
def test_overlap_is_a_count_of_cells(
    first: list[tuple[int, ...]], second: list[tuple[int, ...]]
) -> None:
    """IoU and share inside equal counted unit cells, boxes turned inside out being empty."""
    a, b = np.array(first, float), np.array(second, float)
    for i, j in np.ndindex(len(a), len(b)):
        one, two = _cells(a[i]), _cells(b[j])
        union, area = (one | two).sum(), one.sum()
        common = (one & two).sum()
        assert box_overlap(a, b)[i, j] == pytest.approx(common / union if union else 0)
        assert share_inside(a, b)[i, j] == pytest.approx(common / area if area else 0)


def test_decoding_adds_the_anchor() -> None:
    """An offset of (10, 20) and a size of (40, 60) pixels about an anchor, best score first."""
    anchors = np.array([[0.5, 0.5], [0.25, 0.25]], np.float32)
    regressors = np.array([[10, 20, 40, 60, 5, 5], [0, 0, 20, 20, 0, 0]], np.float32)
    logits = np.array([[1.0], [3.0]], np.float32)
    points, scores = decode(regressors, logits, anchors, size=100, min_score=0.5)
    assert np.allclose(points[0], [[0.15, 0.15], [0.35, 0.35], [0.25, 0.25]])
    assert np.allclose(points[1], [[0.4, 0.4], [0.8, 1.0], [0.55, 0.55]])
    assert np.allclose(scores, 1 / (1 + np.exp([-3.0, -1.0])))


def test_nothing_above_the_threshold_is_nothing() -> None:
    """Extreme logits neither overflow nor pass; the shapes stay."""
    anchors = np.full((2, 2), 0.5, np.float32)
    logits = np.full((2, 1), -300.0, np.float32)
    points, scores = decode(np.zeros((2, 12), np.float32), logits, anchors, size=224, min_score=0.5)
    assert points.shape == (0, 6, 2)
    merged, _ = merge_overlapping(points, scores, min_overlap=0.3)
    assert merged.shape == (0, 6, 2)


def test_merging_averages_by_score() -> None:
    """Two overlapping boxes become their weighted mean, a third one far away stays."""
    boxes = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [50, 50, 60, 60]], np.float32)
    points, scores = merge_overlapping(
        boxes.reshape(-1, 2, 2), np.array([0.9, 0.6, 0.5], np.float32), min_overlap=0.3
    )
    assert np.allclose(points.reshape(-1, 4), [[0.8, 0, 10.8, 10], [50, 50, 60, 60]])
    assert np.allclose(scores, [0.9, 0.5])
