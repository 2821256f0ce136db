"""What the network sees of a picture and its maps, and what comes back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from torch.nn.functional import interpolate

from dataset.crop import Crop, crop_frames
from inference.framing import PersonFraming, StretchedFraming, as_shown
from training.champ.autoencoder import frames_to_pixels, pixels_to_frames

WIDE = StretchedFraming(size=48, width=130, height=70)


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).integers(0, 256, shape, dtype=np.uint8)


def test_a_stretched_picture_is_what_the_official_preprocessing_gives() -> None:
    """The autoencoder gets the pixels of VaeImageProcessor.preprocess, to float rounding."""
    picture = noise(70, 130, 3)
    official = VaeImageProcessor(vae_scale_factor=8, do_convert_rgb=True).preprocess(
        Image.fromarray(picture), height=48, width=48
    )
    torch.testing.assert_close(
        frames_to_pixels(WIDE.reference(picture)), official, atol=2e-7, rtol=0
    )


def test_the_image_encoder_sees_the_stretched_picture_itself() -> None:
    """Squeezed once, to the encoder's own square, not through the network's."""
    picture = noise(70, 130, 3)
    np.testing.assert_array_equal(WIDE.seen(picture), picture[None])


@pytest.mark.parametrize("channels", [1, 3])
def test_stretched_maps_are_resized_as_pictures_of_three_channels(channels: int) -> None:
    """PIL's own default filter on RGB, whether the map has one channel or three."""
    frames = noise(3, 70, 130, channels)
    expected = [
        np.asarray(Image.fromarray(frame).resize((48, 48)))
        for frame in np.broadcast_to(frames, (3, 70, 130, 3))
    ]
    found = np.broadcast_to(WIDE.maps(frames), (3, 48, 48, 3))
    np.testing.assert_array_equal(found, np.stack(expected))


def test_stretched_frames_come_back_in_the_pictures_size() -> None:
    """As one bilinear resize of all frames, in float, before the rounding."""
    pixels = torch.rand(3, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    whole = interpolate(pixels, size=(70, 130), mode="bilinear", align_corners=False)
    np.testing.assert_array_equal(np.stack(list(WIDE.frames(pixels))), pixels_to_frames(whole))


def test_a_person_is_framed_by_one_crop() -> None:
    """Picture and maps are cut alike; beside the picture maps are black and the picture goes on."""
    framing = PersonFraming(crop=Crop(x0=-20.0, y0=0.0, side=60.0), size=30)
    picture = np.full((70, 130, 3), 200, np.uint8)
    assert (framing.reference(picture) == 200).all()
    assert (framing.seen(picture) == framing.reference(picture)).all()
    maps = framing.maps(picture[None, ..., :1])
    assert maps.shape == (1, 30, 30, 1)
    assert not maps[:, :, :9].any()
    assert (maps[:, :, 11:] == 200).all()
    assert (framing.width, framing.height) == (30, 30)


def test_the_truth_is_shown_as_the_animation_is() -> None:
    """Under the row's crop, or as it is where the animation was stretched back."""
    frames = noise(2, 40, 50, 3)
    crop = Crop(x0=5.0, y0=3.0, side=30.0)
    shown = as_shown(frames, {"crop": crop.as_list(), "size": 24})
    np.testing.assert_array_equal(shown, crop_frames(frames, crop, 24))
    assert as_shown(frames, {"crop": None, "size": 24}) is frames
