"""Folders of ready maps as the motion, through the stage with a small network that obeys maps."""

from __future__ import annotations

import os
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.image_processor import VaeImageProcessor
from PIL import Image
from torch.nn.functional import interpolate

from dataset.denied import deny
from dataset.errors import ItemError
from dataset.fingerprint import file_sha256
from dataset.records import MAP_NAMES
from dataset.streams import decode_stream
from dataset.video import probe_video
from inference.animate import AnimateStage
from inference.framing import StretchedFraming
from inference.sampler import sample
from pipeline.config import load_config
from tests.integration.animate_stages import make_stage
from tests.integration.official_example import noise_maps, write_maps, write_picture
from training.champ.autoencoder import FRAMES_AT_ONCE, Autoencoder
from training.champ.checkpoints import save
from training.champ.network import ChampNetwork

FRAMES = 5
PICTURE = (52, 90)  # height, width
MAPS = (40, 64)
STRETCHED = ("animate.framing=stretched", "animate.sample.guidance_scale=1.5")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A picture, maps of another shape with masks, and networks of weights that are not zero."""
    folder = tmp_path_factory.mktemp("maps")
    random = np.random.default_rng(1)
    write_picture(folder / "man.png", random.integers(0, 256, (*PICTURE, 3), dtype=np.uint8))
    write_picture(folder / "as_large.png", random.integers(0, 256, (*MAPS, 3), dtype=np.uint8))
    masks = random.integers(0, 2, (FRAMES, *MAPS, 3), dtype=np.uint8) * 255
    write_maps(folder / "walk", noise_maps(FRAMES, *MAPS) | {"mask": masks})
    config = load_config("tiny")
    torch.manual_seed(0)
    Autoencoder.create(config.models.vae_sizes).save(folder / "vae")
    network = ChampNetwork(config.network, motion=True)
    with torch.no_grad():
        for weights in network.parameters():
            weights.add_(torch.randn_like(weights) * 0.05)
    save(network, folder / "network")
    return folder


@pytest.fixture(scope="module")
def stage(folder: Path) -> AnimateStage:
    return make_stage(folder, folder / "dataset", *STRETCHED)


def animate(stage: AnimateStage, folder: Path, name: str, **change: object):
    """The row that the stage yields, and its exact frames."""
    given = {"reference": str(folder / "man.png"), "motion": str(folder / "walk"), "seed": 3}
    (row,) = stage.process({"animation_id": name} | given | change)
    return row, decode_stream((folder / "dataset" / row["frames_path"]).read_bytes())


def test_stretched_frames_are_those_of_the_official_steps(folder: Path, stage) -> None:
    """Picture, masked and whole maps squeezed, sampled, stretched back: the plain chain's pixels.

    The picture is neither square nor of the maps' shape.
    """
    row, frames = animate(stage, folder, "whole")
    picture = Image.open(folder / "man.png")
    pixels = VaeImageProcessor().preprocess(picture, height=64, width=64)
    maps = [_official_map(folder / "walk", name) for name in MAP_NAMES]
    with torch.no_grad():
        vae = stage._vae
        latents = sample(
            stage._network,
            reference_latents=vae.normalize(vae.model.encode(pixels).latent_dist.mean),
            image_embeds=stage._embedder.embed(np.asarray(picture)[None]),
            maps=torch.stack(maps)[None],
            settings=stage.settings.sample,
            seed=3,
        )
        video = vae.decode_pixels(latents[0].transpose(0, 1))
    video = interpolate(video, size=PICTURE, mode="bilinear", align_corners=False)
    expected = video.mul(255).permute(0, 2, 3, 1).numpy()
    assert (row["crop"], row["width"], row["height"]) == (None, *PICTURE[::-1])
    assert frames.shape == (FRAMES, *PICTURE, 3)
    assert np.abs(frames - expected).max() < 0.51  # of a grey level: rounding
    assert expected.std(0).max() > 1  # the maps are obeyed: frames differ


def _official_map(folder: Path, name: str) -> torch.Tensor:
    """A map as the official script reads it: (3, frames, 64, 64) in [0, 1]."""
    frames = []
    for path in sorted((folder / name).iterdir()):
        picture = Image.open(path).convert("RGB")
        if name == "semantic_map":
            mask = np.array(Image.open(folder / "mask" / path.name).convert("RGB"))
            picture = Image.fromarray(np.where(mask > 0, np.array(picture), 0).astype(np.uint8))
        frames.append(torch.from_numpy(np.array(picture.resize((64, 64)))) / 255.0)
    return torch.stack(frames).permute(3, 0, 1, 2)


def test_nothing_that_fits_bodies_is_loaded(folder: Path, tmp_path: Path) -> None:
    """Maps need no detector and no body: the stage works where neither can be had."""
    stage = make_stage(
        folder, folder / "dataset", *STRETCHED, f"render.body_model={tmp_path / 'none'}"
    )
    row, _ = animate(stage, folder, "plain")
    assert row["alignment_iou"] is None


def test_the_span_and_the_order_of_maps_are_obeyed(folder: Path, stage) -> None:
    """A span is as long as asked; shuffled maps give other frames than ordered ones."""
    row, part = animate(stage, folder, "part", start_frame=1, end_frame=4)
    assert row["frames"] == len(part) == 3
    assert probe_video(folder / "dataset" / row["video_path"]).frames == 3
    _, shuffled = animate(stage, folder, "shuffled", frame_order="shuffled")
    _, ordered = animate(stage, folder, "ordered")
    assert not np.array_equal(shuffled, ordered)


def test_a_person_is_cut_out_of_maps_as_large_as_the_picture(folder: Path) -> None:
    """The crop is around all that is drawn; with another size the row says what to do."""
    stage = make_stage(folder, folder / "dataset")
    row, frames = animate(stage, folder, "person", reference=str(folder / "as_large.png"))
    x0, y0, side = row["crop"]
    assert (x0 + side / 2, y0 + side / 2) == (MAPS[1] / 2, MAPS[0] / 2)  # noise is everywhere
    assert side == pytest.approx(MAPS[1] * 1.1)
    assert (row["width"], row["height"], frames.shape[1:]) == (64, 64, (64, 64, 3))
    with pytest.raises(ItemError, match=r"maps of 64 x 40, .*man\.png is 90 x 52.*stretched"):
        animate(stage, folder, "other_size")


def test_maps_may_be_chosen(folder: Path) -> None:
    """With two of the four maps the checkpoint gives another network, and only those are read."""
    two = make_stage(folder, folder / "dataset", *STRETCHED, "animate.maps=[normal, depth]")
    only = folder / "two"
    write_maps(
        only, {n: m for n, m in noise_maps(FRAMES, *MAPS).items() if n in ("normal", "depth")}
    )
    _, of_two = animate(two, folder, "two", motion=str(only))
    _, of_all = animate(two, folder, "all", motion=str(folder / "walk"))
    assert np.array_equal(of_two, of_all)
    _, with_four = animate(make_stage(folder, folder / "dataset", *STRETCHED), folder, "four")
    assert not np.array_equal(of_two, with_four)


def test_the_network_runs_in_the_precision_asked_for(folder: Path, stage) -> None:
    """In bfloat16 the frames are close to those in float32, and not the same."""
    halved = make_stage(
        folder, folder / "dataset", *STRETCHED, "animate.execution.precision=bfloat16"
    )
    _, rough = animate(halved, folder, "rough")
    _, exact = animate(stage, folder, "exact")
    away = np.abs(rough.astype(int) - exact)
    assert 0 < away.mean() < 1.5


@pytest.mark.parametrize(
    ("change", "kind", "message"),
    [
        ({"reference": "walk-000000-0050#3"}, "animate.reference", "a picture file, got 'walk-"),
        ({"motion": "vae"}, "animate.maps", r"vae has no map 'depth'"),
        ({"start_frame": 5}, "animate.span", "a motion of 5 frames"),
    ],
)
def test_a_row_that_cannot_be_animated_says_why(folder, stage, change, kind, message) -> None:
    """A bad row is an ItemError with a reason that can be counted; the job would go on."""
    if "motion" in change:
        change = {"motion": str(folder / change["motion"])}
    with pytest.raises(ItemError, match=message) as error:
        animate(stage, folder, "bad", **change)
    assert error.value.kind == kind


def test_maps_that_were_taken_down_are_refused(folder: Path, tmp_path: Path) -> None:
    """By the content of a single map, and by the clip that the folder is called after."""
    clip = tmp_path / "jump-000000-0005"
    write_maps(clip, noise_maps(FRAMES, *MAPS))
    for name in ("jump", file_sha256(folder / "walk" / "normal" / "0002.png")):
        root = tmp_path / name[:8]
        deny(root, [name])
        motion = str(clip if name == "jump" else folder / "walk")
        with pytest.raises(ItemError) as refused:
            animate(make_stage(folder, root, *STRETCHED), folder, "denied", motion=motion)
        assert (refused.value.kind, refused.value.status) == ("source.denied", "rejected")


def test_maps_pass_through_in_portions(folder: Path) -> None:
    """Of 60 frames the maps of at most two windows are in memory at a time, each once."""
    frames, window = 60, 8
    write_maps(folder / "long", noise_maps(frames, *MAPS))
    overrides = (*STRETCHED, f"animate.sample.window_frames={window}", "animate.sample.steps=1")
    stage = make_stage(folder, folder / "dataset", *overrides)
    encoder = next(iter(stage._network.guidance_encoders.values()))
    maps = _Watched(axis=2)
    encoder.register_forward_hook(lambda _, given, __: maps.see(given[0]))
    animate(stage, folder, "long", motion=str(folder / "long"))
    assert maps.frames == frames
    assert maps.most_alive <= 2 * window


def test_frames_are_decoded_when_they_are_written(folder: Path, stage) -> None:
    """A few at a time: what comes later is not decoded before what came first is handed out."""
    latents = torch.randn(3 * FRAMES_AT_ONCE, 8, 16, 16, generator=torch.Generator().manual_seed(0))
    decoded = _Watched(axis=0)
    hook = stage._vae.model.decoder.register_forward_hook(lambda _, __, made: decoded.see(made))
    frames = stage._frames(latents, StretchedFraming(size=64, width=30, height=20))
    for taken, frame in enumerate(frames, start=1):
        assert decoded.frames < taken + FRAMES_AT_ONCE
        assert frame.shape == (20, 30, 3)
    hook.remove()
    assert decoded.frames == taken == len(latents)
    assert decoded.most_alive <= 2 * FRAMES_AT_ONCE


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clip(folder: Path) -> None:
    """From 48 to 192 frames of 512 x 512 the peak grows by less than a third of the bare frames.

    Measured: 798 and 814 MiB; 822 with 288 frames. The frames alone are 36 and 144 MiB, the maps
    144 and 576.
    """
    write_picture(folder / "large" / "man.png", noise_maps(1, 512, 512)["normal"][0])
    write_maps(folder / "large" / "walk", noise_maps(4, 512, 512))
    for name in MAP_NAMES:
        part = folder / "large" / "walk" / name
        for frame in range(4, 192):
            os.link(part / f"{frame % 4:04d}.png", part / f"{frame:04d}.png")
    for name in ("network", "vae"):
        (folder / "large" / name).symlink_to(folder / name)
    assert _peak_mib(folder / "large", 192) - _peak_mib(folder / "large", 48) < 36


def _peak_mib(folder: Path, frames: int) -> float:
    command = [sys.executable, "-m", "tests.integration.animate_memory", str(folder), str(frames)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    made, peak = done.stdout.split()
    assert int(made) == frames
    return float(peak)


class _Watched:
    """Counts frames of tensors that were seen, and the most that were alive at a time."""

    def __init__(self, axis: int) -> None:
        self._axis = axis
        self._alive = self.frames = self.most_alive = 0

    def see(self, tensor: torch.Tensor) -> None:
        count = tensor.shape[self._axis]
        self.frames += count
        self._alive += count
        self.most_alive = max(self.most_alive, self._alive)
        weakref.finalize(tensor.untyped_storage(), self._gone, count)

    def _gone(self, count: int) -> None:
        self._alive -= count
