"""The body fit: what a configuration can say of it."""

from __future__ import annotations

from pydantic import Field

from dataset.settings import Settings


class TermSettings(Settings):
    """How far each kind of evidence and belief is trusted."""

    point_deviation: float = Field(
        default=0.006,
        gt=0,
        description="Expected error of a 2D point, in body heights in the picture",
    )
    landmark_deviation_m: float = Field(
        default=0.05,
        gt=0,
        description="Expected error of a 3D landmark; larger than it is, as neighbours in time err "
        "together",
    )
    landmark_depth_deviation_m: float = Field(
        default=0.07, gt=0, description="The same along the line of sight"
    )
    outlier_deviations: float = Field(
        default=3.0, gt=0, description="Beyond so many deviations the cost grows linearly"
    )
    betas_deviation: float = Field(
        default=1.0, gt=0, description="Expected size of a body shape number"
    )
    habit_weight: float = Field(
        default=0.3, ge=0, description="Weight of the poses that people usually take"
    )
    limit_weight: float = Field(default=1.0, ge=0, description="Weight of the joint limits")
    contact_weight: float = Field(
        default=1.0, ge=0, description="Weight of feet standing still; 0 lets them slide"
    )
    contact_speed: float = Field(
        default=0.1, gt=0, description="A foot faster than this across the picture is moving, m/s"
    )
    turn_acceleration: float = Field(
        default=24.0, gt=0, description="Expected angular acceleration of a limb's joint, rad/s^2"
    )
    trunk_acceleration: float = Field(
        default=6.0, gt=0, description="The same of the root, the spine, the neck and the collars"
    )
    place_acceleration: float = Field(
        default=4.0, gt=0, description="Expected acceleration in the picture, body heights/s^2"
    )
    depth_acceleration: float = Field(
        default=0.3, gt=0, description="Expected relative acceleration of the distance, 1/s^2"
    )


class OutlineSettings(Settings):
    """How far the silhouette is trusted."""

    frames: int = Field(default=16, ge=0, description="Frames looked at; 0: no silhouette is used")
    points: int = Field(default=800, ge=50, description="Skin points tried for the rim")
    weight: float = Field(
        default=0.5, ge=0, description="Weight of a point on the rim: neighbours err alike"
    )
    deviation: float = Field(
        default=0.01, gt=0, description="Expected miss of the rim, in body heights in the picture"
    )
    reach: float = Field(
        default=0.06, gt=0, description="Edges further away, in body heights, are another thing's"
    )


class FitSettings(Settings):
    """The fit of a clip."""

    terms: TermSettings = Field(
        default=TermSettings(), description="Weights of the evidence and beliefs"
    )
    outline: OutlineSettings = Field(
        default=OutlineSettings(), description="The silhouette, where the detector gives one"
    )
    steps: int = Field(default=25, ge=1, description="Most Gauss-Newton steps")
    tolerance: float = Field(
        default=1e-3, ge=0, description="Stop when a step gains less than this share of the cost"
    )
    min_confidence: float = Field(
        default=0.2, ge=0, le=1, description="A point under this confidence counts as not seen"
    )
    doubt_ratio: float = Field(
        default=2.5,
        gt=1,
        description="Where a frame's points are missed by so many times the clip's median, its 3D "
        "landmarks are taken for wrong (front and back confused) and left out",
    )
    calmest: float = Field(
        default=0.3,
        gt=0,
        le=1,
        description="A joint that moves calmly is held steadier: at most as if this share of the "
        "accelerations were expected of it",
    )
    smoothing_seconds: float = Field(
        default=0.02, ge=0, description="Deviation of the Gaussian that smooths the result"
    )
