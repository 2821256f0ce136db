"""The image token, of a trained encoder or of the stand-in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import CLIPImageProcessor

from training.champ.image_encoder import ImageEncoder
from training.champ.settings import ImageEncoderSettings


def frames(count: int = 3, *, height: int = 40, width: int = 56) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_stand_in_is_small_untrained_and_always_the_same() -> None:
    """Two stand-ins give one token per frame, equal bits, and say that they are not trained."""
    first, second = ImageEncoder.load(None), ImageEncoder.load(None)
    tokens = first.embed(frames())
    assert tokens.shape == (3, 1, ImageEncoderSettings().projection_dim)
    assert first.dim == 64
    assert not first.trained
    assert torch.equal(tokens, second.embed(frames()))


def test_stand_in_leaves_the_random_state_alone() -> None:
    """Making a stand-in does not disturb anybody's random numbers."""
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    ImageEncoder.load(None)
    assert torch.equal(torch.rand(4), expected)


def test_token_says_which_picture_it_was() -> None:
    """Different pictures have different tokens."""
    tokens = ImageEncoder.load(None).embed(frames())
    assert (tokens[0] - tokens[1]).abs().max() > 1e-2


def test_folder_loads_as_trained(tmp_path: Path) -> None:
    """An encoder read from a folder is a trained one, and gives what the saved one gave."""
    settings = ImageEncoderSettings(hidden_size=32, projection_dim=12)
    made = ImageEncoder.load(None, settings)
    made.model.save_pretrained(tmp_path)
    loaded = ImageEncoder.load(tmp_path)
    assert loaded.trained
    assert loaded.dim == 12
    torch.testing.assert_close(loaded.embed(frames()), made.embed(frames()))


def test_missing_folder_is_named(tmp_path: Path) -> None:
    """A folder without an encoder is a ValueError."""
    with pytest.raises(ValueError, match=r"config.json is missing"):
        ImageEncoder.load(tmp_path)


def test_pixels_are_those_of_clips_own_processor() -> None:
    """Square frames of the encoder's size reach it as transformers' own processor prepares them."""
    encoder = ImageEncoder.load(None)
    squares = frames(height=64, width=64)
    processor = CLIPImageProcessor(size={"shortest_edge": 64}, crop_size=64)
    expected = processor(list(squares), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        tokens = encoder.model(pixel_values=expected).image_embeds
    torch.testing.assert_close(encoder.embed(squares)[:, 0], tokens, atol=1e-5, rtol=1e-5)
