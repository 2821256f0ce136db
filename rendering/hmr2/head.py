"""The head of 4D-Humans: one token asks the image's tokens for pose, shape and camera.

Modules are named as in the published checkpoint (``smpl_head.*``), so that it loads by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from dataset.records import SMPL_JOINTS
from rendering.hmr2.settings import HeadSettings

_JOINTS = len(SMPL_JOINTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyGuess:
    """A body per crop: joint rotations, betas, and the camera (s, tx, ty) of the square crop.

    The first rotation is the root's in the camera's axes, the others are relative to the parents.
    """

    rotations: Float[Tensor, "batch 24 3 3"]
    betas: Float[Tensor, "batch 10"]
    weak_camera: Float[Tensor, "batch 3"]


class BodyHead(nn.Module):
    """Image tokens to a body: what the decoder says is added to the mean body's parameters."""

    init_body_pose: Tensor
    init_betas: Tensor
    init_cam: Tensor

    def __init__(self, settings: HeadSettings, context_width: int) -> None:
        super().__init__()
        self.transformer = _Decoder(settings, context_width)
        self.decpose = nn.Linear(settings.width, 6 * _JOINTS)
        self.decshape = nn.Linear(settings.width, 10)
        self.deccam = nn.Linear(settings.width, 3)
        upright = torch.tensor([1.0, 0, 0, 0, 1.0, 0]).repeat(_JOINTS)
        self.register_buffer("init_body_pose", upright[None])
        self.register_buffer("init_betas", torch.zeros(1, 10))
        self.register_buffer("init_cam", torch.tensor([[0.9, 0, 0]]))

    def forward(self, tokens: Float[Tensor, "batch patches width"]) -> BodyGuess:
        """One body per image."""
        answer = self.transformer(tokens)
        pose = self.decpose(answer) + self.init_body_pose
        return BodyGuess(
            rotations=rotations_from_6d(pose.unflatten(-1, (_JOINTS, 6))),
            betas=self.decshape(answer) + self.init_betas,
            weak_camera=self.deccam(answer) + self.init_cam,
        )


def rotations_from_6d(six: Float[Tensor, "*batch 6"]) -> Float[Tensor, "*batch 3 3"]:
    """Rotations from two vectors, the first three numbers and the last three.

    They become the first two columns, made orthonormal in this order (Zhou et al. 2019, with the
    numbers laid out as 4D-Humans does: one column after the other).
    """
    first = functional.normalize(six[..., :3], dim=-1)
    second = six[..., 3:]
    second = functional.normalize(second - (first * second).sum(-1, keepdim=True) * first, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


class _Decoder(nn.Module):
    """One token, whose start is the same for every image, through all layers."""

    def __init__(self, settings: HeadSettings, context_width: int) -> None:
        super().__init__()
        self.to_token_embedding = nn.Linear(1, settings.width)
        self.pos_embedding = nn.Parameter(torch.randn(1, 1, settings.width))
        self.transformer = _Layers(settings, context_width)

    def forward(self, context: Float[Tensor, "batch n c"]) -> Float[Tensor, "batch width"]:
        start = self.to_token_embedding(context.new_zeros(len(context), 1, 1))
        return self.transformer(start + self.pos_embedding, context)[:, 0]


class _Layers(nn.Module):
    """Per layer: attention among the tokens, attention to the image, a two-layer network."""

    def __init__(self, settings: HeadSettings, context_width: int) -> None:
        super().__init__()
        width = settings.width
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    _Normed(width, _SelfAttention(settings)),
                    _Normed(width, _CrossAttention(settings, context_width)),
                    _Normed(width, _Mlp(settings)),
                ]
            )
            for _ in range(settings.depth)
        )

    def forward(
        self, tokens: Float[Tensor, "batch n width"], context: Float[Tensor, "batch m c"]
    ) -> Float[Tensor, "batch n width"]:
        for layer in self.layers:
            attend, look, think = layer.children()
            tokens = tokens + attend(tokens)
            tokens = tokens + look(tokens, context)
            tokens = tokens + think(tokens)
        return tokens


class _Normed(nn.Module):
    """A module that sees its first input normalised."""

    def __init__(self, width: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.fn = fn

    def forward(self, tokens: Tensor, *context: Tensor) -> Tensor:
        return self.fn(self.norm(tokens), *context)


class _SelfAttention(nn.Module):
    def __init__(self, settings: HeadSettings) -> None:
        super().__init__()
        self.heads = settings.heads
        inner = settings.heads * settings.head_width
        self.to_qkv = nn.Linear(settings.width, 3 * inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, settings.width))

    def forward(self, tokens: Float[Tensor, "batch n width"]) -> Float[Tensor, "batch n width"]:
        queries, keys, values = self.to_qkv(tokens).chunk(3, dim=-1)
        return self.to_out(_attend(queries, keys, values, self.heads))


class _CrossAttention(nn.Module):
    def __init__(self, settings: HeadSettings, context_width: int) -> None:
        super().__init__()
        self.heads = settings.heads
        inner = settings.heads * settings.head_width
        self.to_kv = nn.Linear(context_width, 2 * inner, bias=False)
        self.to_q = nn.Linear(settings.width, inner, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner, settings.width))

    def forward(
        self, tokens: Float[Tensor, "batch n width"], context: Float[Tensor, "batch m c"]
    ) -> Float[Tensor, "batch n width"]:
        keys, values = self.to_kv(context).chunk(2, dim=-1)
        return self.to_out(_attend(self.to_q(tokens), keys, values, self.heads))


def _attend(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    """Attention of several heads, which lie side by side in the last axis."""
    q, k, v = (part.unflatten(-1, (heads, -1)).transpose(1, 2) for part in (queries, keys, values))
    return functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)


class _Mlp(nn.Module):
    def __init__(self, settings: HeadSettings) -> None:
        super().__init__()
        # The checkpoint counts a dropout between the two: they are its 0 and 3.
        self.net = nn.ModuleDict(
            {
                "0": nn.Linear(settings.width, settings.mlp_width),
                "3": nn.Linear(settings.mlp_width, settings.width),
            }
        )

    def forward(self, tokens: Float[Tensor, "batch n width"]) -> Float[Tensor, "batch n width"]:
        return self.net["3"](functional.gelu(self.net["0"](tokens)))
