"""The encode stage: rows of latents and image tokens from rows of guidance."""

from pathlib import Path

import numpy as np
import pytest

from dataset.crop import Crop, crop_frames
from dataset.errors import ItemError
from tests.unit.training import small_dataset as small
from training.champ.autoencoder import Autoencoder
from training.champ.image_encoder import ImageEncoder
from training.latents import EncodeStage
from training.settings import EncodeSettings
from training.tensors import pack_tensor, unpack_tensor


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset")
    small.write_guidance(path, {"a": 35})
    return path


def test_latents_are_those_of_the_cut_frames(root: Path) -> None:
    """A row holds what the autoencoder and the image encoder say of the frames under the crop,
    to float16, also past the portions in which a clip is read."""
    stage = small.encode_stage(root)
    (row,) = stage.process({"clip_id": "a", "recipe": small.GUIDANCE_RECIPE})
    crop = Crop.from_list(row["crop"])
    assert crop.as_list() == [4.0, 0.0, 40.0]
    cut = crop_frames(small.disc_frames(35, seed=0)[0], crop, small.SIZE)
    expected = Autoencoder.load(root / "autoencoder").encode(cut).numpy()
    found = unpack_tensor(row["latents"], row["latents_shape"])
    assert found.shape == (35, 4, 4, 4)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    tokens = ImageEncoder.load(None, small.IMAGE_ENCODER).embed(cut).numpy()
    found = unpack_tensor(row["image_embeds"], row["image_embeds_shape"])
    np.testing.assert_allclose(found, tokens, rtol=1e-3, atol=1e-3)


def test_one_image_token_per_clip_is_the_first_frames(root: Path) -> None:
    """With ``image_embeds`` "clip" there is one token, and it is the first frame's."""
    item = {"clip_id": "a", "recipe": small.GUIDANCE_RECIPE}
    (every,) = small.encode_stage(root).process(item)
    (once,) = small.encode_stage(root, image_embeds="clip").process(item)
    assert once["image_embeds_shape"] == [1, 1, 8]
    first = unpack_tensor(every["image_embeds"], every["image_embeds_shape"])[:1]
    np.testing.assert_allclose(
        unpack_tensor(once["image_embeds"], once["image_embeds_shape"]), first, atol=1e-3
    )


def test_a_random_image_encoder_is_labelled(root: Path) -> None:
    """A row says when the image encoder has no trained weights."""
    (row,) = small.encode_stage(root).process({"clip_id": "a", "recipe": small.GUIDANCE_RECIPE})
    assert row["image_encoder_trained"] is False


def test_a_size_that_the_autoencoder_cannot_take_is_refused(root: Path) -> None:
    """A size that is no multiple of the stride is a ``ValueError`` before any clip is read."""
    small.encode_stage(root)
    stage = EncodeStage(
        EncodeSettings(size=18),
        root,
        autoencoder=root / "autoencoder",
        image_encoder_settings=small.IMAGE_ENCODER,
    )
    with pytest.raises(ValueError, match="multiple of 4"):
        stage.load()


def test_values_beyond_float16_are_an_item_error() -> None:
    """A tensor that the table cannot hold is bad data, not silently infinite."""
    with pytest.raises(ItemError) as caught, np.errstate(over="ignore"):
        pack_tensor(np.array([1.0, 1e6], np.float32))
    assert caught.value.kind == "encode.not_finite"


def test_bytes_of_another_shape_are_refused() -> None:
    """Bytes and shape that do not belong together are a ``ValueError``."""
    data, _ = pack_tensor(np.ones((2, 3), np.float32))
    with pytest.raises(ValueError, match="has 8 bytes, got 12"):
        unpack_tensor(data, [2, 2])
