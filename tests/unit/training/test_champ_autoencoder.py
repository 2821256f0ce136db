"""The autoencoder normalises, saves and loads what it says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from training.champ.autoencoder import Autoencoder, frames_to_pixels
from training.champ.settings import VaeSettings

SMALL = VaeSettings(
    block_out_channels=(8, 16, 16), layers_per_block=1, latent_channels=8, norm_num_groups=4
)


def make() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder.create(SMALL)


def noise_frames(count: int = 11, *, height: int = 16, width: int = 24) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, 3), dtype=np.uint8)


def test_sizes() -> None:
    """Latents are smaller by the stride; decoding gives the frames' size back."""
    autoencoder, frames = make(), noise_frames()
    assert autoencoder.stride == 4
    latents = autoencoder.encode(frames)
    assert latents.shape == (11, autoencoder.latent_channels, 4, 6)
    decoded = autoencoder.decode(latents)
    assert decoded.shape == frames.shape
    assert decoded.dtype == np.uint8


def test_measured_statistics_make_latents_standard() -> None:
    """After measuring, each channel of those frames' latents has mean 0 and deviation 1."""
    autoencoder, frames = make(), noise_frames()
    autoencoder.measure_statistics(frames)
    latents = autoencoder.encode(frames)
    torch.testing.assert_close(latents.mean((0, 2, 3)), torch.zeros(8), atol=1e-3, rtol=0)
    torch.testing.assert_close(latents.std((0, 2, 3)), torch.ones(8), atol=1e-3, rtol=0)


@pytest.mark.parametrize("measured", [False, True])
def test_denormalize_inverts_normalize(measured: bool) -> None:
    """Normalisation by one factor and by channel statistics both have their inverse."""
    autoencoder = make()
    if measured:
        autoencoder.measure_statistics(noise_frames())
    means = torch.randn(2, 8, 4, 4)
    torch.testing.assert_close(autoencoder.denormalize(autoencoder.normalize(means)), means)


def test_without_statistics_the_scaling_factor_counts() -> None:
    """An autoencoder without channel statistics multiplies by its scaling factor."""
    means = torch.randn(2, 8, 4, 4)
    torch.testing.assert_close(make().normalize(means), 0.18215 * means)


@pytest.mark.parametrize("measured", [False, True])
def test_save_and_load(tmp_path: Path, measured: bool) -> None:
    """A saved autoencoder encodes and decodes bit for bit as before, statistics included."""
    autoencoder, frames = make(), noise_frames()
    autoencoder.model.eval()  # in training, dropout of nothing still changes the rounding
    if measured:
        autoencoder.measure_statistics(frames)
    autoencoder.save(tmp_path / "vae")
    loaded = Autoencoder.load(tmp_path / "vae")
    latents = autoencoder.encode(frames)
    assert torch.equal(loaded.encode(frames), latents)
    assert np.array_equal(loaded.decode(latents), autoencoder.decode(latents))
    assert {path.name for path in (tmp_path / "vae").iterdir()} == {
        "config.json",
        "diffusion_pytorch_model.safetensors",
    }


def test_frames_do_not_depend_on_their_neighbours() -> None:
    """Encoding in portions gives each frame what it gets alone."""
    autoencoder, frames = make(), noise_frames(11)
    alone = torch.cat([autoencoder.encode(frame[None]) for frame in frames])
    torch.testing.assert_close(autoencoder.encode(frames), alone, atol=1e-5, rtol=1e-5)


def test_pixels_span_minus_one_to_one() -> None:
    """Black is -1, white is 1, and the axes are (frames, colours, height, width)."""
    frames = np.zeros((1, 2, 3, 3), np.uint8)
    frames[0, 1, 2] = (255, 0, 255)
    pixels = frames_to_pixels(frames)
    assert pixels.shape == (1, 3, 2, 3)
    assert pixels[0, :, 1, 2].tolist() == [1, -1, 1]
    assert pixels.min() == -1


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    """A size that is no multiple of the stride and a folder that is none are ValueErrors."""
    with pytest.raises(ValueError, match="multiples of 4, got 18 x 16"):
        make().encode(noise_frames(1, height=18, width=16))
    with pytest.raises(ValueError, match=r"config.json is missing"):
        Autoencoder.load(tmp_path)
