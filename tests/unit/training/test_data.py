"""Which frames a step sees, and how they are read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dataset.crop import Crop, crop_frames
from tests.unit.training import small_dataset as small
from training.clips import ClipStore, TrainingClip, encoded_clips, rendered_clips
from training.data import (
    collate,
    draw_noise,
    plan_sample,
    read_sample,
    seen_frames,
    usable_clips,
)


def clip_of(frames: int, name: str = "clip") -> TrainingClip:
    crop = Crop(x0=0, y0=0, side=8)
    return TrainingClip(clip_id=name, frames=frames, size=8, crop=crop, guidance_recipe="r")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("dataset")
    small.write_guidance(path, {"b": 8, "a": 14})
    small.write_latents(path, ["a", "b"])
    return path


@given(
    length=st.integers(1, 200),
    frames=st.integers(1, 24),
    stride=st.integers(1, 6),
    gap=st.integers(0, 40),
    fraction=st.floats(0.05, 1.0),
    step=st.integers(0, 10**6),
)
def test_plans_stay_in_the_seen_frames(
    length: int, frames: int, stride: int, gap: int, fraction: float, step: int
) -> None:
    """No frame after ``train_fraction`` is ever used, frames are evenly spaced by at most the
    stride, and the reference keeps its distance wherever the clip has such a frame."""
    clip = clip_of(length)
    seen = seen_frames(clip, fraction)
    if seen < frames:
        with pytest.raises(ValueError, match="no clip has"):
            usable_clips([clip], frames=frames, train_fraction=fraction)
        return
    plan = plan_sample(
        [clip],
        seed=1,
        step=step,
        index=0,
        frames=frames,
        frame_stride=stride,
        reference_gap=gap,
        train_fraction=fraction,
    )
    first, last = plan.frame_indices[0], plan.frame_indices[-1]
    assert len(plan.frame_indices) == frames
    assert first >= 0
    assert max(last, plan.reference_index) < seen
    steps = set(np.diff(plan.frame_indices).tolist())
    assert len(steps) <= 1
    assert all(1 <= found <= stride for found in steps)
    possible = gap and (first - gap >= 0 or last + gap < seen)
    distance = min(abs(plan.reference_index - index) for index in (first, last))
    inside = first <= plan.reference_index <= last
    if possible:
        assert distance >= gap
        assert not inside


def test_a_long_clip_keeps_the_whole_stride() -> None:
    """Stage 2 takes every fourth frame, a span of 93, where the clip is long enough."""
    plan = plan_sample([clip_of(93)], seed=0, step=0, index=0, frames=24, frame_stride=4)
    assert plan.frame_indices == tuple(range(0, 93, 4))


def test_samples_depend_on_seed_step_and_index_alone() -> None:
    """The same three numbers give the same frames and noise, whatever was drawn before and
    whichever process draws; another step, index or seed gives others."""
    clips = [clip_of(60, "a"), clip_of(50, "b")]

    def draw(seed: int, step: int, indices: list[int]) -> list[object]:
        plans = [plan_sample(clips, seed=seed, step=step, index=i, frames=3) for i in indices]
        noise = draw_noise(
            (2, 3, 4, 4),
            seed=seed,
            step=step,
            indices=indices,
            timesteps=1000,
            noise_offset=0.05,
            unconditional_share=0.5,
        )
        return [
            (plans[k], *(noise[name][k].tolist() for name in ("noise", "timesteps", "conditional")))
            for k in range(len(indices))
        ]

    whole = draw(7, 11, [0, 1, 2, 3])
    assert draw(7, 11, [2, 3]) + draw(7, 11, [0, 1]) == whole[2:] + whole[:2]
    for other in (draw(8, 11, [0]), draw(7, 12, [0]), [whole[1]]):
        assert other[0] != whole[0]


def test_every_clip_and_frame_is_visited() -> None:
    """Over many samples every clip comes as often as any other, and every frame comes."""
    clips = [clip_of(10, "a"), clip_of(10, "b")]
    plans = [plan_sample(clips, seed=0, step=step, index=0) for step in range(400)]
    share = np.mean([plan.clip.clip_id == "a" for plan in plans])
    assert 0.4 < share < 0.6
    assert len({(plan.clip.clip_id, plan.frame_indices) for plan in plans}) == 20


def test_the_noise_offset_is_one_number_per_channel() -> None:
    """With the offset the noise changes by a constant that all frames and pixels of a channel
    share; shares of unconditional samples come out as asked."""
    common = {"seed": 0, "step": 5, "timesteps": 10, "unconditional_share": 0.1}
    plain = draw_noise((2, 3, 4, 4), indices=range(300), noise_offset=0.0, **common)
    shifted = draw_noise((2, 3, 4, 4), indices=range(300), noise_offset=0.5, **common)
    offset = shifted["noise"] - plain["noise"]
    assert offset.std((2, 3, 4)).max() < 1e-5
    assert 0.4 < offset[:, :, 0, 0, 0].std() < 0.6
    assert 0.85 < plain["conditional"].float().mean() < 0.95
    assert set(plain["timesteps"].tolist()) == set(range(10))


def test_a_sample_is_cut_alike_everywhere(root: Path) -> None:
    """Latents, maps and mask of a sample belong to the planned frames under one crop."""
    clips = encoded_clips(root)
    assert [clip.clip_id for clip in clips] == ["a", "b"]
    assert clips[0].crop == rendered_clips(root, size=small.SIZE, margin=0.0)[0].crop
    store = ClipStore(root, capacity_bytes=2**24)
    plan = plan_sample(clips, seed=0, step=0, index=0, frames=3, frame_stride=2)
    sample = read_sample(store, plan)
    length = {"a": 14, "b": 8}[sample.clip_id]
    _, mask = small.disc_frames(length, seed={"b": 0, "a": 1}[sample.clip_id])
    cut = crop_frames(mask, plan.clip.crop, small.SIZE, fill_black=True)
    expected = cut[list(plan.frame_indices)]
    np.testing.assert_array_equal(sample.maps[0], np.repeat(expected, 3, -1))
    np.testing.assert_array_equal(sample.mask, expected[..., 0] > 127)
    reference = store.latents(plan.clip, [plan.reference_index])[0]
    np.testing.assert_array_equal(sample.reference_latents, reference)
    batch = collate([sample, sample])
    assert batch["latents"].shape == (2, 4, 3, 4, 4)
    assert batch["maps"].shape == (2, 4, 3, 3, 16, 16)
    assert torch.equal(batch["maps"][1, 0, 0], torch.from_numpy(expected[..., 0]))


@pytest.mark.parametrize("capacity", [2**24, 12_000, 1])
def test_the_store_answers_alike_within_its_capacity(root: Path, capacity: int) -> None:
    """What is kept in memory never changes an answer, and never outgrows the capacity (but for a
    single tensor that is larger by itself)."""
    clips = encoded_clips(root)
    store, plain = (ClipStore(root, capacity_bytes=size) for size in (capacity, 2**24))
    for clip in (*clips, *clips):
        for stream in ("rgb", "dwpose"):
            found = store.frames(clip, stream, [5, 2, 2])
            np.testing.assert_array_equal(found, plain.frames(clip, stream, [5, 2, 2]))
        np.testing.assert_array_equal(store.latents(clip, [3]), plain.latents(clip, [3]))
        assert store.held_bytes <= max(capacity, clip.frames * 4 * 4 * 4 * 4)


def test_a_dataset_without_clips_says_so(tmp_path: Path) -> None:
    """Training without any clip is the caller's mistake, with the remedy in the message."""
    with pytest.raises(ValueError, match="there are 0 clips"):
        usable_clips(encoded_clips(tmp_path), frames=1, train_fraction=1.0)
