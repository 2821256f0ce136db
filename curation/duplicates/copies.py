"""Which clips are copies of which better ones, by their frames' hashes in order.

Clips are gone through from the best to the worst. Each is compared with those kept so far, and is
either a copy of one of them or kept itself. So every copy was compared with the clip that is kept
for it: likeness is never handed on along a chain of clips of which the ends differ. What is kept
does not depend on the order clips come in, and finding the copies among the kept finds none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from jaxtyping import Float64, Int32, Int64, UInt64

from curation.duplicates.hash_index import add, count_bits, empty_index, near
from curation.duplicates.hashing import MIRROR_BITS, NO_HASH
from curation.duplicates.settings import DuplicateSettings

KINDS = ("kept", "exact", "near", "mirror")
"""What a clip is in its cluster; ``Copies.kinds`` are places in here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HashedClips:
    """Clips, best first, each with the hashes of its frames at ``HASHES_PER_SECOND``.

    Clip k's hashes are ``hashes[starts[k]:starts[k + 1]]``. Clips of one ``source`` are never
    copies of each other: a person before a fixed camera looks alike at all times. Clips of
    different sources with one ``content`` (the same file) are copies where the same ``track`` is
    in both at the same ``seconds`` (begin, end).
    """

    hashes: UInt64[np.ndarray, " hashes"]
    starts: Int64[np.ndarray, " clips_and_one"]
    sources: Int64[np.ndarray, " clips"]
    contents: Int64[np.ndarray, " clips"]
    tracks: Int64[np.ndarray, " clips"]
    seconds: Float64[np.ndarray, "clips 2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """For every clip the one that is kept for it (itself, where it is kept), and how they differ.

    ``distances`` are mean bits over the frames compared, 0 for exact copies.
    """

    kept: Int64[np.ndarray, " clips"]
    kinds: Int32[np.ndarray, " clips"]
    distances: Float64[np.ndarray, " clips"]


def find_copies(clips: HashedClips, settings: DuplicateSettings) -> Copies:
    """Each clip's kept one; frames of both must be within 7 bits somewhere (``hash_index``)."""
    owners = np.repeat(np.arange(len(clips.sources)), np.diff(clips.starts))
    kept, kinds, distances = _assign(
        (clips.hashes, clips.starts, owners, _changes(clips.hashes, clips.starts)),
        (clips.sources, clips.contents, clips.tracks, clips.seconds),
        empty_index(clips.hashes),
        (settings.max_distance, settings.min_overlap, settings.min_frames),
    )
    return Copies(kept=kept, kinds=kinds, distances=distances)


@numba.njit(cache=True, nogil=True)
def _changes(hashes, starts):
    """Mean bits from one hash of a clip to the next: what a shift by less than a step may add."""
    changes = np.zeros(len(starts) - 1)
    for clip in range(len(changes)):
        bits, told = 0, 0
        for place in range(starts[clip] + 1, starts[clip + 1]):
            one, two = hashes[place - 1], hashes[place]
            if one != np.uint64(NO_HASH) and two != np.uint64(NO_HASH):
                bits += count_bits(one ^ two)
                told += 1
        changes[clip] = bits / max(told, 1)
    return changes


@numba.njit(cache=True, nogil=True)
def _assign(frames, places, index, limits):
    """Kept clip, kind and distance of every clip, in order."""
    sources, contents = places[0], places[1]
    clips = len(sources)
    kept, kinds = np.arange(clips), np.zeros(clips, np.int32)
    distances = np.zeros(clips, np.float64)
    newest = np.full(contents.max() + 1 if clips else 0, -1, np.int64)  # kept clip of a content
    before = np.full(clips, -1, np.int64)
    found, candidates = np.empty(1024, np.int32), np.empty(1024, np.int64)
    for clip in range(clips):
        same = _same_file(clip, places, newest[contents[clip]], before, limits[1])
        if same >= 0:
            kept[clip], kinds[clip] = same, 1
            continue
        found, candidates, count = _candidates(clip, frames, index, found, candidates)
        best, distance, mirror = _best(clip, frames, sources, candidates[:count], limits)
        if best >= 0:
            kept[clip], kinds[clip], distances[clip] = best, 3 if mirror else 2, distance
            continue
        before[clip], newest[contents[clip]] = newest[contents[clip]], clip
        for place in range(frames[1][clip], frames[1][clip + 1]):
            if frames[0][place] != np.uint64(NO_HASH):
                add(index, place)
    return kept, kinds, distances


@numba.njit(cache=True, nogil=True)
def _same_file(clip, places, other, before, min_overlap):
    """The first kept clip of another source with the same content, track and time; else -1."""
    sources, _, tracks, seconds = places
    best = -1
    length = seconds[clip, 1] - seconds[clip, 0]
    while other >= 0:
        shared = min(seconds[clip, 1], seconds[other, 1]) - max(seconds[clip, 0], seconds[other, 0])
        if (
            sources[other] != sources[clip]
            and tracks[other] == tracks[clip]
            and shared >= min_overlap * length
        ):
            best = other
        other = before[other]
    return best


@numba.njit(cache=True, nogil=True)
def _candidates(clip, frames, index, found, candidates):
    """Every (kept clip, shift, mirrored) under which a frame of both is near, as one number."""
    hashes, starts, owners, _ = frames
    total = 0
    for place in range(starts[clip], starts[clip + 1]):
        if hashes[place] == np.uint64(NO_HASH):
            continue
        for mirror in range(2):
            value = hashes[place] ^ np.uint64(MIRROR_BITS) if mirror else hashes[place]
            found, count = near(index, value, found)
            while total + count > len(candidates):
                candidates = np.concatenate((candidates, np.empty_like(candidates)))
            for entry in found[:count]:
                other = owners[entry]
                shift = (entry - starts[other]) - (place - starts[clip]) + (1 << 29)
                candidates[total] = (other << 31) | (shift << 1) | mirror
                total += 1
    unique = np.unique(candidates[:total])
    candidates[: len(unique)] = unique
    return found, candidates, len(unique)


@numba.njit(cache=True, nogil=True)
def _best(clip, frames, sources, candidates, limits):
    """The nearest kept clip that this one is a copy of: (clip or -1, distance, mirrored)."""
    changes = frames[3]
    best, nearest, mirrored = -1, np.inf, False
    for candidate in candidates:
        other = candidate >> 31
        if sources[other] == sources[clip]:
            continue
        mirror = bool(candidate & 1)
        shift = ((candidate >> 1) & ((1 << 30) - 1)) - (1 << 29)
        distance = _distance(frames, clip, other, (shift, mirror), limits)
        if distance < nearest and distance <= limits[0] + min(changes[clip], changes[other]):
            best, nearest, mirrored = other, distance, mirror
    return best, nearest, mirrored


@numba.njit(cache=True, nogil=True)
def _distance(frames, clip, other, how, limits):
    """Mean bits between the frames of two clips under a shift; infinite where too few are told."""
    hashes, starts = frames[0], frames[1]
    shift, mirror = how
    length, length_other = starts[clip + 1] - starts[clip], starts[other + 1] - starts[other]
    bits, told = 0, 0
    flip = np.uint64(MIRROR_BITS) if mirror else np.uint64(0)
    for k in range(max(0, -shift), min(length, length_other - shift)):
        one, two = hashes[starts[clip] + k], hashes[starts[other] + k + shift]
        if one != np.uint64(NO_HASH) and two != np.uint64(NO_HASH):
            bits += count_bits(one ^ two ^ flip)
            told += 1
    if told < limits[2] or told < limits[1] * length:
        return np.inf
    return bits / told
