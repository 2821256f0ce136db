"""The whole regressor: a normalised square crop of a person to a body."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from rendering.hmr2.backbone import CROP_HEIGHT, CROP_WIDTH, Backbone
from rendering.hmr2.head import BodyGuess, BodyHead
from rendering.hmr2.settings import BackboneSettings, HeadSettings

CROP_SIDE = CROP_HEIGHT
"""The side of the square crop that goes in, in pixels."""

_MARGIN = (CROP_SIDE - CROP_WIDTH) // 2


class Hmr2Network(nn.Module):
    """HMR2: backbone and head, named as in the published checkpoint."""

    def __init__(self, backbone: BackboneSettings, head: HeadSettings) -> None:
        super().__init__()
        self.backbone = Backbone(backbone)
        self.smpl_head = BodyHead(head, backbone.width)

    def forward(self, crops: Float[Tensor, "batch 3 256 256"]) -> BodyGuess:
        """A body per crop; the backbone sees the crop without a strip on the left and right."""
        return self.smpl_head(self.backbone(crops[..., _MARGIN:-_MARGIN]))
