"""Copies among clips: the same as a slow oracle finds, whatever the order, and none is left."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.duplicates.clusters import CLIP_COLUMNS, duplicate_rows
from curation.duplicates.copies import KINDS, Copies, HashedClips, find_copies
from curation.duplicates.hash_index import RADIUS, near_pairs
from curation.duplicates.hashing import NO_HASH, mirrored_hash
from curation.duplicates.settings import DuplicateSettings
from dataset.schemas import SCHEMAS

SCENES = [int(v) for v in np.random.default_rng(5).integers(1, 2**63, 4)]


@dataclass(frozen=True)
class PlainClip:
    """A clip of the oracle: hashes, and where it comes from."""

    hashes: tuple[int, ...]
    source: int = 0
    content: int = 0
    track: int = 0
    seconds: tuple[float, float] = (0.0, 10.0)


def packed(clips: list[PlainClip]) -> HashedClips:
    """Clips as arrays."""
    return HashedClips(
        hashes=np.array([value for clip in clips for value in clip.hashes], np.uint64),
        starts=np.cumsum([0, *(len(clip.hashes) for clip in clips)]),
        sources=np.array([clip.source for clip in clips], np.int64),
        contents=np.array([clip.content for clip in clips], np.int64),
        tracks=np.array([clip.track for clip in clips], np.int64),
        seconds=np.array([clip.seconds for clip in clips], np.float64).reshape(-1, 2),
    )


def bits(one: int, two: int) -> int:
    return (one ^ two).bit_count()


def change(clip: PlainClip) -> float:
    """Mean bits from one hash to the next."""
    steps = [
        bits(a, b)
        for a, b in zip(clip.hashes, clip.hashes[1:], strict=False)
        if NO_HASH not in (a, b)
    ]
    return sum(steps) / len(steps) if steps else 0.0


def plain_copies(clips: list[PlainClip], chosen: DuplicateSettings) -> list[tuple[int, str]]:
    """The slow oracle: every clip with every better kept one, under every shift."""
    result: list[tuple[int, str]] = []
    for number, clip in enumerate(clips):
        kept = [k for k, (of, _) in enumerate(result) if of == k]
        same = [k for k in kept if _same_file(clip, clips[k], chosen)]
        near = [
            (distance, k, mirror, shift)
            for k in kept
            if clips[k].source != clip.source
            for mirror in (False, True)
            for shift in range(-len(clip.hashes), len(clips[k].hashes))
            if (distance := _distance(clip, clips[k], shift, mirror, chosen)) is not None
        ]
        if same:
            result.append((same[0], "exact"))
        elif near:
            _, k, mirror, _ = min(near, key=lambda found: (found[0], found[1], found[3], found[2]))
            result.append((k, "mirror" if mirror else "near"))
        else:
            result.append((number, "kept"))
    return result


def _same_file(clip: PlainClip, other: PlainClip, chosen: DuplicateSettings) -> bool:
    shared = min(clip.seconds[1], other.seconds[1]) - max(clip.seconds[0], other.seconds[0])
    length = clip.seconds[1] - clip.seconds[0]
    same = clip.content == other.content and clip.track == other.track
    return same and clip.source != other.source and shared >= chosen.min_overlap * length


def _distance(
    clip: PlainClip, other: PlainClip, shift: int, mirror: bool, chosen: DuplicateSettings
) -> float | None:
    pairs = [
        bits(mirrored_hash(value) if mirror else value, other.hashes[k + shift])
        for k, value in enumerate(clip.hashes)
        if 0 <= k + shift < len(other.hashes) and NO_HASH not in (value, other.hashes[k + shift])
    ]
    if len(pairs) < max(chosen.min_frames, chosen.min_overlap * len(clip.hashes)):
        return None
    distance = sum(pairs) / len(pairs)
    limit = chosen.max_distance + min(change(clip), change(other))
    return distance if min(pairs) <= RADIUS and distance <= limit else None


@st.composite
def some_clips(draw: st.DrawFn) -> list[PlainClip]:
    """Clips of few scenes, so that copies, mirrored and shifted ones and plain frames are many."""
    clips = []
    for number in range(draw(st.integers(0, 9))):
        hashes = []
        for _ in range(draw(st.integers(0, 6))):
            scene = draw(st.sampled_from([NO_HASH, *SCENES]))
            flips = draw(st.lists(st.integers(0, 63), max_size=6))
            for place in flips if scene else []:
                scene ^= 1 << place
            hashes.append(mirrored_hash(scene) if draw(st.booleans()) else scene)
        source = draw(st.integers(0, 4)) if draw(st.booleans()) else number + 10
        begin = draw(st.floats(0, 10))
        clips.append(
            PlainClip(
                hashes=tuple(hashes),
                source=source,
                content=draw(st.sampled_from([source, 0, 1])),
                track=draw(st.integers(0, 1)),
                seconds=(begin, begin + draw(st.floats(1, 10))),
            )
        )
    return clips


def told(copies: Copies) -> list[tuple[int, str]]:
    return [(int(k), KINDS[kind]) for k, kind in zip(copies.kept, copies.kinds, strict=True)]


@settings(max_examples=80, deadline=None)
@given(clips=some_clips(), overlap=st.sampled_from([0.3, 0.5, 1.0]), frames=st.integers(1, 3))
def test_copies_are_those_of_the_slow_oracle(clips, overlap, frames):
    """Kept clips, kinds and clusters agree with comparing everything with everything."""
    chosen = DuplicateSettings(min_overlap=overlap, min_frames=frames)
    assert told(find_copies(packed(clips), chosen)) == plain_copies(clips, chosen)


@settings(max_examples=40, deadline=None)
@given(clips=some_clips())
def test_no_copies_are_left_among_the_kept(clips):
    """Finding copies again among what is kept finds none, and a copy's clip is kept itself."""
    copies = find_copies(packed(clips), DuplicateSettings())
    assert all(copies.kept[of] == of for of in copies.kept)
    kept = [clip for number, clip in enumerate(clips) if copies.kept[number] == number]
    again = find_copies(packed(kept), DuplicateSettings())
    assert told(again) == [(number, "kept") for number in range(len(kept))]


@settings(max_examples=40, deadline=None)
@given(
    hashes=st.lists(st.sampled_from(SCENES), max_size=30),
    flips=st.lists(st.lists(st.integers(0, 63), max_size=5), min_size=30, max_size=30),
)
def test_near_hashes_are_those_of_comparing_all_with_all(hashes, flips):
    """No pair within 7 bits is missed, none beyond is found, none is told twice."""
    values = np.array(hashes, np.uint64)
    for place, changed in enumerate(flips[: len(values)]):
        for bit in changed:
            values[place] ^= np.uint64(1) << np.uint64(bit)
    apart = np.bitwise_count(values[:, None] ^ values[None])
    expected = np.argwhere(np.triu(apart <= RADIUS, 1))
    np.testing.assert_array_equal(near_pairs(values), expected)


def rows(clips: list[PlainClip]) -> list[dict[str, object]]:
    """Clips as rows of the table; the first is the sharpest."""
    return [
        {
            "clip_id": f"clip{number}",
            "source_id": f"source{clip.source}",
            "track": clip.track,
            "start_seconds": clip.seconds[0],
            "end_seconds": clip.seconds[1],
            "width": 1280,
            "height": 720,
            "sharpness": float(2 ** (20 - number)),
            "frame_hashes": b"".join(value.to_bytes(8, "big") for value in clip.hashes),
        }
        for number, clip in enumerate(clips)
    ]


def table(given: list[dict[str, object]]) -> pa.Table:
    schema = pa.schema([SCHEMAS["clips"].field(name) for name in CLIP_COLUMNS])
    return pa.Table.from_pylist(given, schema=schema)


@settings(max_examples=20, deadline=None)
@given(clips=some_clips(), order=st.randoms(use_true_random=False))
def test_the_order_of_the_table_does_not_matter(clips, order):
    """Rows in any order make the same clusters."""
    given_rows = rows(clips)
    contents = {f"source{clip.source}": f"file{clip.content}" for clip in clips}
    first = list(duplicate_rows(table(given_rows), contents, DuplicateSettings()))
    order.shuffle(given_rows)
    assert list(duplicate_rows(table(given_rows), contents, DuplicateSettings())) == first
    assert sorted(row["clip_id"] for row in first) == sorted(f"clip{k}" for k in range(len(clips)))


LONG = PlainClip(hashes=tuple(SCENES[0] ^ (0b111 << 3 * k) for k in range(8)))


@pytest.mark.parametrize(
    ("better", "kept"),
    [
        ({"width": 1920, "height": 1080}, "clip1"),
        ({"sharpness": 1e9}, "clip1"),
        ({"overlay_share": 0.0, "text_share": 0.0}, "clip1"),
        ({}, "clip0"),
    ],
)
def test_the_best_copy_is_kept(better, kept):
    """Resolution, then sharpness, then less written over it, then the name decides."""
    pair = rows([LONG, replace(LONG, source=1)])
    for row in pair:
        row |= {"sharpness": 100.0, "overlay_share": 0.3, "text_share": 0.2}
    pair[1] |= better
    made = list(duplicate_rows(table(pair), {}, DuplicateSettings()))
    assert [row["clip_id"] for row in made if row["kept"]] == [kept]
    assert [(row["cluster_id"], row["place"], row["kind"]) for row in made] == [
        (kept, 0, "kept"),
        (kept, 1, "near"),
    ]


def test_no_chain_of_copies():
    """B is like A and C is like B, but C is not like A: it is no copy of what is kept."""
    first = PlainClip(hashes=(SCENES[0],) * 6, source=0)
    second = replace(first, hashes=(SCENES[0] ^ 0b111,) * 6, source=1, content=1)
    third = replace(first, hashes=(SCENES[0] ^ 0b111111,) * 6, source=2, content=2)
    told_of = told(find_copies(packed([first, second, third]), DuplicateSettings()))
    assert told_of == [(0, "kept"), (0, "near"), (2, "kept")]


def test_plain_frames_never_link():
    """Clips that are black for more than half of the time are copies of nothing."""
    dark = PlainClip(hashes=(NO_HASH,) * 5 + (SCENES[0],) * 3, source=0)
    found = find_copies(packed([dark, replace(dark, source=1, content=1)]), DuplicateSettings())
    assert [kind for _, kind in told(found)] == ["kept", "kept"]


def test_clips_of_one_source_are_no_copies():
    """A person before a fixed camera looks alike at all times, and is not cut down to once."""
    found = find_copies(packed([LONG, replace(LONG, seconds=(10.0, 20.0))]), DuplicateSettings())
    assert [kind for _, kind in told(found)] == ["kept", "kept"]


def test_hashes_of_a_wrong_length_are_refused():
    """A column of something else is told, not read as hashes."""
    broken = rows([LONG])
    broken[0]["frame_hashes"] = b"seven.."
    with pytest.raises(ValueError, match="8 bytes a hash"):
        list(duplicate_rows(table(broken), {}, DuplicateSettings()))
