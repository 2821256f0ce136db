"""A network of a few thousand weights, none of them zero, for tests of files."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from training.champ.network import ChampNetwork
from training.champ.settings import NetworkSettings

SMALL = NetworkSettings(
    block_out_channels=(8, 16),
    attention_levels=(True, False),
    motion_levels=(True, True),
    layers_per_block=1,
    num_attention_heads=2,
    cross_attention_dim=12,
    norm_num_groups=4,
    latent_channels=8,
    guidance_channels=(4, 8, 16),
    guidance_num_attention_heads=2,
    guidance_norm_num_groups=4,
    motion_num_attention_heads=2,
)


def make(settings: NetworkSettings = SMALL, *, motion: bool = True) -> ChampNetwork:
    """A network with random weights, always the same ones."""
    torch.manual_seed(0)
    network = ChampNetwork(settings, motion=motion)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter)
    return network


def assert_same_weights(ours: ChampNetwork, theirs: ChampNetwork) -> None:
    """All tensors equal, bit for bit, types included."""
    assert_same(ours.state_dict(), theirs.state_dict())


def assert_same(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> None:
    """The same names, types and bits."""
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert value.dtype == second[name].dtype, name
        assert torch.equal(value, second[name]), name
