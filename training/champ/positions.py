"""Where a token lies in the picture, as numbers that attention can compare."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

LONGEST_WAVELENGTH = 64.0  # tokens; a small network's grid is 8 to 32 tokens wide
SHORTEST_WAVELENGTH = 4.0


def sincos_positions(
    height: int, width: int, channels: int, *, like: Tensor
) -> Float[Tensor, "tokens channels"]:
    """Sines and cosines of row and column, row-major, in ``like``'s dtype and on its device.

    Every four neighbouring channels are (sin y, cos y, sin x, cos x) of one wavelength, so that the
    dot product of two positions falls with their distance inside each attention head, whatever
    number of heads shares the channels.

    Raises:
        ValueError: ``channels`` is not a multiple of 4.
    """
    if channels % 4:
        raise ValueError(f"channels must be a multiple of 4, got {channels}")
    ratio = torch.linspace(0, 1, channels // 4, device=like.device)
    wavelengths = SHORTEST_WAVELENGTH * (LONGEST_WAVELENGTH / SHORTEST_WAVELENGTH) ** ratio
    rows, columns = torch.meshgrid(
        torch.arange(height, device=like.device),
        torch.arange(width, device=like.device),
        indexing="ij",
    )
    angle_y = 2 * torch.pi * rows.reshape(-1, 1) / wavelengths
    angle_x = 2 * torch.pi * columns.reshape(-1, 1) / wavelengths
    waves = torch.stack([angle_y.sin(), angle_y.cos(), angle_x.sin(), angle_x.cos()], dim=-1)
    return waves.reshape(height * width, channels).to(like.dtype)
