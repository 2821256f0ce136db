"""A small HMR2 with random weights, and a plain second opinion on what it computes."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional

from rendering.hmr2.network import Hmr2Network
from rendering.hmr2.settings import BackboneSettings, HeadSettings, Hmr2Settings

BACKBONE = BackboneSettings(width=24, depth=2, heads=3, mlp_ratio=2)
HEAD = HeadSettings(width=20, depth=2, heads=2, head_width=8, mlp_width=12)


def small_network(seed: int = 0) -> Hmr2Network:
    """Random weights that carry a crop's features to the end; the camera stays near the mean one,
    so that bodies are in view."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = Hmr2Network(BACKBONE, HEAD)
        with torch.no_grad():
            for name, weight in network.named_parameters():
                size = weight[0].numel() ** -0.5 if weight.ndim > 1 else 0.2
                mean = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                weight.copy_(size * torch.randn_like(weight) + mean)
            network.smpl_head.deccam.weight.mul_(0.05)
            network.smpl_head.deccam.bias.mul_(0.05)
    return network.eval().requires_grad_(False)


def save_network(network: Hmr2Network, path: Path) -> Hmr2Settings:
    """The settings of a regressor with these weights, on the CPU."""
    save_file(network.state_dict(), path)
    return Hmr2Settings(checkpoint=path, backbone=BACKBONE, head=HEAD, batch_size=4, device="cpu")


def compute_plainly(weights: dict[str, Tensor], crops: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pose (6D), betas and camera, one head at a time, from the weights and the paper alone."""
    tokens = _embed(weights, crops[..., 32:224])
    for block in range(BACKBONE.depth):
        at = f"backbone.blocks.{block}."
        normed = _norm(weights, at + "norm1", tokens, 1e-6)
        q, k, v = _linear(weights, at + "attn.qkv", normed).split(BACKBONE.width, dim=-1)
        tokens = tokens + _linear(weights, at + "attn.proj", _attend(q, k, v, BACKBONE.heads))
        normed = _norm(weights, at + "norm2", tokens, 1e-6)
        tokens = tokens + _mlp(weights, at + "mlp.fc1", at + "mlp.fc2", normed)
    context = _norm(weights, "backbone.last_norm", tokens, 1e-6)
    token = weights["smpl_head.transformer.to_token_embedding.bias"]
    token = (token + weights["smpl_head.transformer.pos_embedding"]).expand(len(crops), -1, -1)
    for layer in range(HEAD.depth):
        token = _decode(
            weights, f"smpl_head.transformer.transformer.layers.{layer}.", token, context
        )
    read = {
        name: _linear(weights, f"smpl_head.dec{name}", token[:, 0])
        + weights[f"smpl_head.init_{mean}"]
        for name, mean in (("pose", "body_pose"), ("shape", "betas"), ("cam", "cam"))
    }
    return read["pose"], read["shape"], read["cam"]


def _embed(weights: dict[str, Tensor], crops: Tensor) -> Tensor:
    """Every patch of 16 x 16 of the crop in a frame of two black pixels, times the weights."""
    padded = functional.pad(crops, (2, 2, 2, 2))
    kernel = weights["backbone.patch_embed.proj.weight"].flatten(1)
    rows = [
        padded[:, :, 16 * i : 16 * i + 16, 16 * j : 16 * j + 16].flatten(1) @ kernel.T
        for i in range(16)
        for j in range(12)
    ]
    places = weights["backbone.pos_embed"]
    bias = weights["backbone.patch_embed.proj.bias"]
    return torch.stack(rows, 1) + bias + places[:, 1:] + places[:, 0]


def _decode(weights: dict[str, Tensor], at: str, token: Tensor, context: Tensor) -> Tensor:
    normed = _norm(weights, at + "0.norm", token, 1e-5)
    q, k, v = (normed @ weights[at + "0.fn.to_qkv.weight"].T).chunk(3, dim=-1)
    token = token + _linear(weights, at + "0.fn.to_out.0", _attend(q, k, v, HEAD.heads))
    q = _norm(weights, at + "1.norm", token, 1e-5) @ weights[at + "1.fn.to_q.weight"].T
    k, v = (context @ weights[at + "1.fn.to_kv.weight"].T).chunk(2, dim=-1)
    token = token + _linear(weights, at + "1.fn.to_out.0", _attend(q, k, v, HEAD.heads))
    normed = _norm(weights, at + "2.norm", token, 1e-5)
    return token + _mlp(weights, at + "2.fn.net.0", at + "2.fn.net.3", normed)


def _attend(queries: Tensor, keys: Tensor, values: Tensor, heads: int) -> Tensor:
    size = queries.shape[-1] // heads
    seen = []
    for head in range(heads):
        q, k, v = (x[..., head * size : (head + 1) * size] for x in (queries, keys, values))
        scores = torch.exp(torch.einsum("bqd,bkd->bqk", q, k) / size**0.5)
        seen.append(torch.einsum("bqk,bkd->bqd", scores / scores.sum(-1, keepdim=True), v))
    return torch.cat(seen, -1)


def _norm(weights: dict[str, Tensor], name: str, x: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    unit = centred / (centred.square().mean(-1, keepdim=True) + eps).sqrt()
    return unit * weights[name + ".weight"] + weights[name + ".bias"]


def _linear(weights: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    return x @ weights[name + ".weight"].T + weights[name + ".bias"]


def _mlp(weights: dict[str, Tensor], first: str, second: str, x: Tensor) -> Tensor:
    hidden = _linear(weights, first, x)
    hidden = hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5))
    return _linear(weights, second, hidden)
