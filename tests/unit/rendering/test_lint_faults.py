"""The linter names every fault that is put into clean maps, and names no other."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from rendering.colours import linear_to_srgb, srgb_to_linear
from tests.unit.rendering.lint_clips import (
    FRAMES,
    causes,
    clean_maps,
    report_on,
    through_jpeg,
    through_x264,
)
from tests.unit.rendering.lint_faults import (
    Fault,
    alone,
    background,
    clip_wide_depth,
    curve,
    densepose_palette,
    grown,
    negated,
    on_body,
    recoloured,
    reordered,
    resized,
    shifted,
    thin,
    with_feet,
    with_lines_between_joints,
    without_darkening,
)

VIRIDIS = densepose_palette(cv2.COLORMAP_VIRIDIS)
VIRIDIS_45 = cv2.applyColorMap(
    (np.arange(24) * 6 + 45).astype(np.uint8), cv2.COLORMAP_VIRIDIS
).reshape(-1, 3)[:, ::-1]
RANDOM_PALETTE = np.random.default_rng(3).integers(60, 255, (24, 3)).astype(np.uint8)
BODY_25 = [(1, 8), (1, 2), (1, 5), (2, 3), (3, 4), (5, 6), (6, 7), (9, 10), (12, 13), (8, 11)]


DEPTH: dict[str, tuple[Fault, str]] = {
    "inverted on the body": (on_body(lambda p: 255 - p), "depth_inverted"),
    "inverted all over": (alone(lambda p: 255 - p), "depth_inverted"),
    "normalised over the clip": (clip_wide_depth, "depth_not_per_frame"),
    "on white": (background(255), "background"),
    "with an sRGB curve": (curve(linear_to_srgb), "depth_curve"),
    "taken for sRGB": (curve(srgb_to_linear), "depth_curve"),
    "in 16 bits": (alone(lambda p: p.astype(np.uint16) * 257), "bit_depth"),
    "with a colour map": (
        alone(lambda p: np.stack([cv2.applyColorMap(f, cv2.COLORMAP_TURBO) for f in p])),
        "other_channels",
    ),
    "shifted": (shifted(4, 0), "shifted"),
    "through x264": (alone(through_x264), "lossy"),
    "through JPEG": (alone(through_jpeg), "lossy"),
}

NORMAL: dict[str, tuple[Fault, str]] = {
    "BGR": (reordered(2, 1, 0), "normal_bgr"),
    "sRGB": (curve(linear_to_srgb), "normal_srgb_encoded"),
    "taken for sRGB": (curve(srgb_to_linear), "normal_srgb_decoded"),
    "y down": (negated(1), "normal_y_down"),
    "x left": (negated(0), "normal_x_left"),
    "z away": (negated(2), "normal_z_away"),
    "red up, green right": (reordered(1, 0, 2), "normal_other_axes"),
    "green towards the camera": (reordered(0, 2, 1), "normal_other_axes"),
    "half as long": (on_body(lambda p: p // 2 + 64), "normal_not_unit"),
    "on middle grey": (background(127, 127, 127), "background"),
    "on blue": (background(128, 128, 255), "background"),
    "on white": (background(255, 255, 255), "background"),
    "in grey": (alone(lambda p: p[..., 1:2]), "other_channels"),
    "with alpha": (alone(lambda p: np.concatenate((p, p[..., 2:]), axis=-1)), "alpha"),
    "shifted": (shifted(-4, 3), "shifted"),
    "resized": (alone(resized), "resampled"),
    "through x264": (alone(through_x264), "lossy"),
    "through fine x264": (alone(lambda p: through_x264(p, quality=10)), "lossy"),
    "through JPEG": (alone(through_jpeg), "lossy"),
}

SEMANTIC_MAP: dict[str, tuple[Fault, str]] = {
    "BGR": (reordered(2, 1, 0), "semantic_bgr"),
    "linear light": (curve(srgb_to_linear), "semantic_linear"),
    "sRGB twice": (curve(linear_to_srgb), "semantic_srgb_twice"),
    "DensePose": (recoloured(VIRIDIS), "densepose"),
    "DensePose as BGR": (recoloured(VIRIDIS[:, ::-1]), "densepose"),
    "DensePose in PARULA": (recoloured(densepose_palette(cv2.COLORMAP_PARULA)), "densepose"),
    "VIRIDIS elsewhere": (recoloured(VIRIDIS_45), "part_numbering"),
    "random colours": (recoloured(RANDOM_PALETTE), "other_palette"),
    "on part 0's colour": (background(68, 1, 84), "background"),
    "through x264": (alone(through_x264), "lossy"),
    "through JPEG": (alone(through_jpeg), "lossy"),
}

MASK: dict[str, tuple[Fault, str]] = {
    "dilated": (grown(4), "dilated"),
    "eroded": (grown(-4), "eroded"),
    "shifted": (shifted(0, 4), "shifted"),
    "inverted": (alone(lambda p: 255 - p), "mask_inverted"),
    "of another frame": (alone(lambda p: np.roll(p, 1, axis=0)), "other_silhouette"),
    "resized": (alone(resized), "resampled"),
    "empty": (alone(np.zeros_like), "nothing_drawn"),
    "through x264": (alone(through_x264), "lossy"),
    "through JPEG": (alone(through_jpeg), "lossy"),
}

DWPOSE: dict[str, tuple[Fault, str]] = {
    "BGR": (reordered(2, 1, 0), "skeleton_bgr"),
    "not darkened": (alone(without_darkening), "skeleton_not_darkened"),
    "in other colours": (reordered(1, 2, 0), "skeleton_other_drawing"),
    "of BODY_25": (with_lines_between_joints(BODY_25, 8), "skeleton_other_drawing"),
    "thin": (alone(thin), "skeleton_line_width"),
    "with feet": (alone(with_feet), "skeleton_feet"),
    "shifted": (shifted(40, 0), "skeleton_off_body"),
    "resized": (alone(resized), "resampled"),
    "through x264": (alone(through_x264), "lossy"),
    "through JPEG": (alone(through_jpeg), "lossy"),
}

FAULTS = {
    f"{name} {what}": (name, *fault)
    for name, faults in (
        ("depth", DEPTH),
        ("normal", NORMAL),
        ("semantic_map", SEMANTIC_MAP),
        ("mask", MASK),
        ("dwpose", DWPOSE),
    )
    for what, fault in faults.items()
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_named_and_nothing_else(name: str) -> None:
    """Of one fault in one map, that map and that cause are all that is found."""
    damaged, fault, cause = FAULTS[name]
    maps = clean_maps()
    maps[damaged] = fault(maps[damaged], clean_maps())
    assert causes(report_on(maps)) == {(damaged, cause)}


TOGETHER = (
    ("normal BGR", "semantic_map BGR", "dwpose BGR"),
    ("normal y down", "depth inverted on the body"),
    ("normal on middle grey", "depth on white", "semantic_map on part 0's colour"),
    ("normal resized", "mask resized", "dwpose resized"),
    tuple(f"{name} through x264" for name in clean_maps()),
    tuple(f"{name} through JPEG" for name in clean_maps()),
    ("normal sRGB", "semantic_map DensePose", "mask dilated", "dwpose with feet"),
    ("normal x left", "semantic_map linear light", "mask shifted", "dwpose thin"),
    ("semantic_map BGR", "semantic_map through x264"),
    ("semantic_map DensePose", "semantic_map through JPEG"),
    ("normal y down", "normal z away"),
    ("normal sRGB", "normal BGR"),
    ("normal BGR", "normal through x264"),
    ("depth inverted on the body", "depth through x264"),
)


@pytest.mark.parametrize("names", TOGETHER)
def test_faults_that_come_together_are_all_named(names: tuple[str, ...]) -> None:
    """In several maps, or one after the other in the same map; and no other is named."""
    maps = clean_maps()
    for name in names:
        damaged, fault, _ = FAULTS[name]
        maps[damaged] = fault(maps[damaged], clean_maps())
    assert causes(report_on(maps)) == {(FAULTS[name][0], FAULTS[name][2]) for name in names}


def test_a_mirrored_clip_is_known_by_its_normals() -> None:
    """Flipped pictures agree with each other, but red then points to the left."""
    mirrored = {name: pictures[:, :, ::-1] for name, pictures in clean_maps().items()}
    assert causes(report_on(mirrored)) == {("normal", "normal_x_left")}


@pytest.mark.parametrize("shift", [(0, 0, 0), (0, 0, 60), (0.2, 0.3, -20), (0.8, 0, -5)])
def test_clean_maps_have_no_findings(shift: tuple[float, float, float]) -> None:
    """What the renderer draws passes: whole, far away, close up and half out of the picture."""
    report = report_on(clean_maps(shift))
    assert report.findings == ()
    assert report.looked_at == FRAMES
