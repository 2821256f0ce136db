"""The 4D-Humans network: what a configuration can say of it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from dataset.settings import Settings


class BackboneSettings(Settings):
    """The size of the vision transformer; the defaults are ViT-H's."""

    width: int = Field(default=1280, ge=1, description="Features of a token")
    depth: int = Field(default=32, ge=1, description="Blocks")
    heads: int = Field(default=16, ge=1, description="Attention heads; they share the width")
    mlp_ratio: int = Field(default=4, ge=1, description="Hidden features over the width")

    @model_validator(mode="after")
    def _heads_share_the_width(self) -> BackboneSettings:
        if self.width % self.heads:
            raise ValueError(f"{self.heads} heads cannot share a width of {self.width}")
        return self


class HeadSettings(Settings):
    """The size of the transformer decoder; the defaults are 4D-Humans'."""

    width: int = Field(default=1024, ge=1, description="Features of the token")
    depth: int = Field(default=6, ge=1, description="Layers")
    heads: int = Field(default=8, ge=1, description="Attention heads")
    head_width: int = Field(default=64, ge=1, description="Features of a head")
    mlp_width: int = Field(default=1024, ge=1, description="Hidden features of a layer")


class Hmr2Settings(Settings):
    """The HMR2 regressor; the sizes are those of the published checkpoint."""

    checkpoint: Path | None = Field(
        default=None, description="The 4D-Humans checkpoint (.ckpt or .safetensors) of yours"
    )
    batch_size: int = Field(default=16, ge=1, description="Frames that are regressed at once")
    device: Literal["auto", "cpu", "cuda"] = Field(
        default="auto", description="Where the network runs; auto: on CUDA where there is one"
    )
    backbone: BackboneSettings = Field(
        default=BackboneSettings(), description="Size of the vision transformer"
    )
    head: HeadSettings = Field(default=HeadSettings(), description="Size of the decoder")
