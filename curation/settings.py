"""How videos are cut and scored: what a configuration can say of it."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from curation.people.settings import MAX_GAP_FRAMES, SubjectRule
from dataset.settings import Settings

CURATE_VERSION = 3
"""Of the stage's code, a part of its recipe: other rows of the same settings, another version."""


class ShotSettings(Settings):
    """PySceneDetect's adaptive detector proposes cuts; the pictures around them decide."""

    # These three are its own defaults.
    adaptive_threshold: float = Field(
        default=3.0, description="Change against the frames around it"
    )
    min_content_change: float = Field(
        default=15.0, description="Change of hue, saturation, lightness"
    )
    window_frames: int = Field(default=2, ge=1, description="Frames on each side to compare with")
    # Cuts between scenes change 0.71 and more, captions and flashes up to 0.34. Ours, as below
    # (docs/decisions/curation-ground-truth.md).
    min_changed_share: float = Field(
        default=0.5, ge=0, le=1, description="Part of the picture that another shot changes"
    )
    min_gradual_contrast: float = Field(
        default=20.0, gt=0, description="Difference of a dissolve's ends, grey levels"
    )
    # Dissolves of moving scenes measured 0.15 to 0.38; at 0.5 cuts in motion are taken for them.
    max_gradual_residual: float = Field(
        default=0.35, gt=0, description="How far a dissolve's pictures are off the mix of its ends"
    )
    min_shot_frames: int = Field(default=15, ge=1, description="Shorter shots are left out")


class GivenModels(Settings):
    """LiteRT networks (`.tflite`) that no package ships; a score without its network is null.

    Input: one RGB picture, 1 x side x side x 3 float32 in 0 to 1, the whole frame squeezed into a
    square. Output: one number, or (aesthetic) the shares of the ratings 1 to 10.
    """

    indoor: Path | None = Field(
        default=None, description="Network that gives the probability that a picture is indoors"
    )
    aesthetic: Path | None = Field(
        default=None, description="Network that rates a picture, as NIMA or with one number"
    )

    @property
    def files(self) -> list[Path]:
        """Those that are given: they decide over the scores, so they belong to the recipe."""
        return [path for path in (self.indoor, self.aesthetic) if path is not None]


class CurateSettings(Settings):
    """How videos are cut into candidate clips."""

    fps: float = Field(default=30.0, gt=0, description="The one frame rate of the whole pipeline")
    proxy_size: int = Field(
        default=960, ge=128, description="Longer side of the frames that are looked at"
    )
    detect_every: int = Field(
        default=3,
        ge=1,
        le=MAX_GAP_FRAMES + 1,
        description="People are searched in every n-th frame, and where somebody comes or goes in "
        "every one",
    )
    # Cosmos (cosmos-curate, shot cutting) keeps 2 s and more; one second is what stage 2
    # wants of frames at its least, and dance cuts are short. `select.min_seconds` can ask for more.
    min_clip_seconds: float = Field(default=1.0, gt=0, description="Shorter spans are no clips")
    # NeMo Curator's examples; Cosmos itself 60. Training reads windows, and a body is fitted whole.
    max_clip_seconds: float = Field(
        default=10.0, gt=0, description="Longer spans are cut into equal parts"
    )
    part_overlap_seconds: float = Field(
        default=0.0, ge=0, description="How much two parts of a long span have in common"
    )
    # Cosmos crops 0.5 s, as its network finds cuts to within a few frames; here they are found to
    # the frame, and what is left is what a codec or a deinterlacer mixes. Ours.
    trim_seconds: float = Field(
        default=0.1, ge=0, description="Cut off beside every cut, so that none enters a clip"
    )
    min_track_seconds: float = Field(
        default=0.5, ge=0, description="Who is seen for less is a false alarm, or of no matter"
    )
    bystander_share: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Smaller boxes, relative to the largest, are background",
    )
    subject: SubjectRule = Field(
        # What is wanted of a shot is frames; size and place depend on who stands in front.
        default="longest",
        description="Whose clip it is where several people are: the largest in the picture, the "
        "most central, or who is there longest",
    )
    shots: ShotSettings = ShotSettings()
    models: GivenModels = GivenModels()
