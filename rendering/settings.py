"""Fitting and drawing: what a configuration can say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from dataset.settings import Settings
from rendering.fitting_settings import FitSettings
from rendering.hmr2.settings import Hmr2Settings

RENDER_VERSION = 2
"""Of the stage's code, a part of its recipe: other rows of the same settings, another version."""


class FitLimits(Settings):
    """Clips whose fit is beyond these are rejected.

    Clips of real people measure 0.007 to 0.011, 1 to 12 m/s^2 and 0.73 to 0.84
    (docs/experiments.md, Bodies of real people).
    """

    max_reprojection_share: float = Field(
        default=0.05,
        gt=0,
        description="The most a clip's median reprojection error may be of the person's height",
    )
    max_acceleration: float = Field(
        default=40.0,
        gt=0,
        description="The most that joints may accelerate on average in all but one in twenty "
        "frames, m/s^2; above it the body flickers",
    )
    min_silhouette_iou: float = Field(
        default=0.5, ge=0, le=1, description="The least that the body must cover the person"
    )


class RenderSettings(Settings):
    """Fitting a clip's body and drawing its maps."""

    body_model: Path | None = Field(
        default=None, description="An SMPL .npz or .pkl of yours; none: the free body that ships"
    )
    backend: Literal["auto", "egl", "osmesa", "cpu"] = Field(
        default="auto",
        description="What rasterises; auto: OpenGL where a GPU draws, else the CPU",
    )
    device_index: int | None = Field(
        default=None, ge=0, description="Which of EGL's devices draws; none: EGL_DEVICE_ID, else 0"
    )
    max_side: int = Field(default=768, ge=64, description="Longer side of the streams, in pixels")
    skeleton: Literal["detector", "body"] = Field(
        default="detector",
        description="Whose points the dwpose map shows; detector: what was seen on the frame, with "
        "hands and face; body: the fitted body's joints, which are never missing, without them",
    )
    fitter: Literal["keypoints", "hmr2"] = Field(
        default="keypoints",
        description="Where 3D comes from; keypoints: the detector's landmarks; hmr2: the 4D-Humans "
        "network, from a checkpoint of yours",
    )
    fit: FitSettings = Field(default=FitSettings(), description="The body fit")
    hmr2: Hmr2Settings = Field(default=Hmr2Settings(), description="The 4D-Humans network")
    limits: FitLimits = Field(
        default=FitLimits(), description="Beyond these a clip's fit is rejected"
    )
