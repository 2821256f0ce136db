"""Where the networks come from that stages 1 and 2 do not train."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from dataset.settings import Settings
from training.champ.settings import ImageEncoderSettings, VaeSettings


class ModelSettings(Settings):
    """The networks that are not trained by stages 1 and 2."""

    vae: Path | None = Field(
        default=None,
        description="Folder of a trained AutoencoderKL (sd-vae-ft-mse); none: the checkpoint's "
        "own, else DATASET/runs'",
    )
    vae_sizes: VaeSettings = Field(
        default=VaeSettings(), description="Sizes of the autoencoder that `train --stage vae` makes"
    )
    image_encoder: Path | None = Field(
        default=None,
        description="Folder of a CLIPVisionModelWithProjection (sd-image-variations); none: the "
        "checkpoint's own, else a small one with random weights, and results say so",
    )
    image_encoder_sizes: ImageEncoderSettings = Field(
        default=ImageEncoderSettings(), description="Sizes of that small one"
    )
    start_from: Path | None = Field(
        default=None, description="Network folder that stage 1 starts from; none: new weights"
    )
    motion_from: Path | None = Field(
        default=None,
        description="Network folder whose motion modules stage 2 starts from (AnimateDiff's, as "
        "the official training); none: new ones",
    )
