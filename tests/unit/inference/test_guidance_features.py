"""Guidance features: each frame encoded once, the same from memory and from a scratch file."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from inference.guidance_features import ENCODED_AT_ONCE, GuidanceFeatures
from inference.map_frames import MapFrames, held_maps
from tests.unit.inference.networks import make_clips, make_network

FRAMES = 11


def features(*, host_bytes: int, dtype: torch.dtype = torch.float32) -> GuidanceFeatures:
    network = make_network() if dtype == torch.float32 else copy.deepcopy(make_network())
    maps = make_clips(frames=FRAMES, batch=2)["maps"]
    return GuidanceFeatures(network.to(dtype), held_maps(maps), host_bytes=host_bytes)


@torch.no_grad()
def expected(frames: list[int]) -> Tensor:
    maps = make_clips(frames=FRAMES, batch=2)["maps"]
    return make_network().encode_guidance(maps / 255)[:, :, frames]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.lists(st.integers(0, FRAMES - 1), min_size=1, unique=True), max_size=4),
    st.sampled_from([0, 1 << 30]),
)
def test_any_frames_in_any_order(requests: list[list[int]], host_bytes: int) -> None:
    """Whatever is asked for, in whatever order: the encoders' own answers, each frame read once."""
    read: list[int] = []
    maps = make_clips(frames=FRAMES, batch=2)["maps"]

    def portion(start: int, stop: int) -> Tensor:
        read.extend(range(start, stop))
        return maps[:, :, :, start:stop]

    source = MapFrames(frames=FRAMES, read=portion)
    found = GuidanceFeatures(make_network(), source, host_bytes=host_bytes)
    assert found.shape == (2, 16, FRAMES, 4, 4)
    for frames in requests:
        torch.testing.assert_close(found.of(frames), expected(frames), atol=1e-5, rtol=1e-5)
    found.close()
    assert len(set(read)) == len(read)


def test_only_what_is_asked_for_is_encoded() -> None:
    """Frames nobody wants are not read, but for the first portion, which tells the shape."""
    read: list[tuple[int, int]] = []
    maps = make_clips(frames=FRAMES)["maps"]

    def portion(start: int, stop: int) -> Tensor:
        read.append((start, stop))
        return maps[:, :, :, start:stop]

    found = GuidanceFeatures(
        make_network(), MapFrames(frames=FRAMES, read=portion), host_bytes=1 << 30
    )
    found.of([9])
    found.of([10])
    assert read == [(0, ENCODED_AT_ONCE), (2 * ENCODED_AT_ONCE, FRAMES)]


def test_a_scratch_file_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has no name: a killed process leaves none."""
    monkeypatch.setenv("CHAMP_SCRATCH", str(tmp_path))
    found = features(host_bytes=0)
    found.of(list(range(FRAMES)))
    assert list(tmp_path.iterdir()) == []
    found.close()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_comes_back_bit_for_bit(dtype: torch.dtype) -> None:
    """Types that numpy does not know go to the file and back."""
    spilled, held = features(host_bytes=0, dtype=dtype), features(host_bytes=1 << 30, dtype=dtype)
    assert spilled.of([3, 0]).dtype == dtype
    assert torch.equal(spilled.of([3, 0, 10]), held.of([3, 0, 10]))
    spilled.close()
