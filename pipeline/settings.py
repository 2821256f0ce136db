"""Settings of the pipeline itself: how jobs run, and where the networks come from."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from dataset.settings import Settings
from training.champ.autoencoder import VaeSettings
from training.champ.image_encoder import ImageEncoderSettings


class JobSettings(Settings):
    """Workers, shards and retries, the same for every job."""

    workers: int = Field(
        default=0, ge=0, description="Worker processes; 0: as many as the cluster's CPUs"
    )
    items_per_shard: int = Field(
        default=8,
        ge=1,
        description="Items a worker takes at a time and writes into one Parquet file",
    )
    gpus: float = Field(
        default=0.0,
        ge=0,
        description="GPUs a worker of encode and animate gets; 0: they run on the CPU",
    )
    render_gpus: float = Field(
        default=0.0,
        ge=0,
        description="The same of render, which uses one for HMR2 and OpenGL; a share will do",
    )
    attempts: int = Field(
        default=3,
        ge=1,
        description="How often an item may kill its worker before it is quarantined",
    )
    commit_seconds: float = Field(
        default=5.0, ge=0, description="At least so long between two commits"
    )


class ModelSettings(Settings):
    """The networks that are not trained by stages 1 and 2."""

    vae: Path | None = Field(
        default=None,
        description="Folder of a trained AutoencoderKL (sd-vae-ft-mse); none: DATASET/runs'",
    )
    vae_sizes: VaeSettings = Field(
        default=VaeSettings(), description="Sizes of the autoencoder that `train --stage vae` makes"
    )
    image_encoder: Path | None = Field(
        default=None,
        description="Folder of a CLIPVisionModelWithProjection (sd-image-variations); none: a "
        "small one with random weights, and results say so",
    )
    image_encoder_sizes: ImageEncoderSettings = Field(
        default=ImageEncoderSettings(), description="Sizes of that small one"
    )
    start_from: Path | None = Field(
        default=None, description="Network folder that stage 1 starts from; none: new weights"
    )
