"""How a network is run: precision, memory layout, compilation; results agree but for rounding."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import nn

from inference.settings import ExecutionSettings, Precision
from training.champ.network import ChampNetwork


def precision_on(device: torch.device, precision: Precision) -> torch.dtype:
    """The type that matrix products are done in."""
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[
        precision
    ]


def prepare(
    network: ChampNetwork, device: torch.device, settings: ExecutionSettings
) -> ChampNetwork:
    """Bring a network to a device, ready to be called under ``running``; in place."""
    network = network.eval().requires_grad_(False)
    halve_products(network, precision_on(device, settings.precision))
    network.to(device)
    if settings.channels_last:
        network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
    if settings.compile:
        network.denoising_unet.compile()
    return network


def running(device: torch.device, settings: ExecutionSettings) -> AbstractContextManager[object]:
    """Within the block products of a prepared network are done in its precision (autocast)."""
    dtype = precision_on(device, settings.precision)
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype)


def halve_products(module: nn.Module, dtype: torch.dtype) -> None:
    """Hold the weights of linear layers and convolutions in a type, norms as they are."""
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Conv2d)):
            part.to(dtype)
