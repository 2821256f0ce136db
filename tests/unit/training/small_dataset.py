"""A dataset root with a few clips of a bright disc that walks over a fixed ground."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dataset.streams import encode_stream
from dataset.tables import commit, write_shard
from training.champ.autoencoder import Autoencoder
from training.champ.settings import ImageEncoderSettings, NetworkSettings, VaeSettings
from training.latents import EncodeStage
from training.settings import EncodeSettings

HEIGHT, WIDTH, SIZE = 40, 48, 16
GUIDANCE_RECIPE, LATENTS_RECIPE = "guidance-recipe", "latents-recipe"
ENCODE = EncodeSettings(size=SIZE, crop_margin=0.0)
VAE = VaeSettings(
    block_out_channels=(8, 8, 8), layers_per_block=1, latent_channels=4, norm_num_groups=4
)
IMAGE_ENCODER = ImageEncoderSettings(
    hidden_size=16, layers=1, heads=2, image_size=16, patch_size=8, projection_dim=8
)
NETWORK = NetworkSettings(
    block_out_channels=(8, 16),
    attention_levels=(True, True),
    layers_per_block=1,
    num_attention_heads=2,
    cross_attention_dim=8,
    norm_num_groups=4,
    latent_channels=4,
    guidance_channels=(8, 8, 8),
    guidance_num_attention_heads=2,
    guidance_norm_num_groups=4,
    motion_levels=(True, True),
    motion_num_attention_heads=2,
    reference_positions=True,
)


def disc_frames(frames: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """RGB frames (frames, HEIGHT, WIDTH, 3) and the disc's mask (frames, HEIGHT, WIDTH, 1)."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    ground = np.stack([rows * 4, columns * 4, (rows + columns) * 2], -1).astype(np.uint8)
    centres = WIDTH / 2 + 12 * np.sin(np.arange(frames) / 3 + seed)
    mask = (columns - centres[:, None, None]) ** 2 + (rows - HEIGHT / 2) ** 2 < 64
    rgb = np.where(mask[..., None], np.uint8([250, 240, 30]), ground)
    return rgb, (mask[..., None] * 255).astype(np.uint8)


def write_guidance(root: Path, lengths: dict[str, int]) -> None:
    """A ``guidance`` table with clips of the given lengths; every map shows the disc."""
    rows = []
    for seed, (clip_id, frames) in enumerate(lengths.items()):
        rgb, mask = disc_frames(frames, seed=seed)
        colour = np.repeat(mask, 3, -1)
        streams = {"rgb": rgb, "depth": mask, "mask": mask}
        streams |= {"normal": colour, "semantic_map": colour // 2, "dwpose": colour // 3}
        rows.append(
            {
                "clip_id": clip_id,
                "source_id": "source",
                "fps": 30.0,
                "frames": frames,
                "width": WIDTH,
                "height": HEIGHT,
                "boxes": np.tile([4.0, 0.0, 44.0, 40.0], frames).tolist(),
                "recipe": GUIDANCE_RECIPE,
                **{
                    n: encode_stream(v, name=n, fps=30.0, lossless=True) for n, v in streams.items()
                },
            }
        )
    commit(root, "guidance", [write_shard(root, "guidance", rows, name="part")], app="guidance")


def encode_stage(root: Path, **changes: object) -> EncodeStage:
    """A loaded encode stage with a new autoencoder, saved beside the dataset."""
    folder = root / "autoencoder"
    autoencoder = Autoencoder.create(VAE)
    autoencoder.measure_statistics(disc_frames(4, seed=0)[0])
    autoencoder.save(folder)
    settings = ENCODE.model_copy(update=changes)
    stage = EncodeStage(settings, root, autoencoder=folder, image_encoder_settings=IMAGE_ENCODER)
    stage.load()
    return stage


def write_latents(root: Path, clip_ids: list[str]) -> None:
    """The ``latents`` table of a root that has a ``guidance`` table."""
    stage = encode_stage(root)
    rows = [
        {**row, "recipe": LATENTS_RECIPE}
        for clip_id in clip_ids
        for row in stage.process({"clip_id": clip_id, "recipe": GUIDANCE_RECIPE})
    ]
    commit(root, "latents", [write_shard(root, "latents", rows, name="part")], app="latents")
