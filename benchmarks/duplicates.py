"""How long a million hashes take to deduplicate, and whether what is found is right.

    python -m benchmarks.duplicates [--hashes 1000000] [--peer-hashes 100000] [--json]

Clips of thirty hashes (ten seconds) are made: hashes drift from frame to frame as those of a filmed
scene do, and a fifth of the clips are copies of others, changed by a bit in most frames, some
mirrored. Time and the process's peak memory are of finding all copies, hashing not included. Beside
it stands the peer: every pair of hashes within 7 bits by comparing all with all, with faiss's
``IndexBinaryFlat`` where that is installed, else with numpy; on as many hashes as it manages.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import resource
import time
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64, UInt64

from curation.duplicates.copies import HashedClips, find_copies
from curation.duplicates.hash_index import RADIUS, near_pairs
from curation.duplicates.hashing import MIRROR_BITS
from curation.duplicates.settings import DuplicateSettings

FRAMES = 30
COPIES = 0.2
MIRRORED = 0.3
BITS_A_STEP = 2
PEER_ROWS = 512


def made_clips(hashes: int, *, seed: int = 0) -> tuple[HashedClips, Int64[np.ndarray, " copies"]]:
    """Clips with ``hashes`` hashes in all, and of which clip each of the last ones is a copy."""
    random = np.random.default_rng(seed)
    clips = hashes // FRAMES
    values = np.empty((clips, FRAMES), np.uint64)
    values[:, 0] = random.integers(1, 2**64, clips, dtype=np.uint64)
    for frame in range(1, FRAMES):
        values[:, frame] = values[:, frame - 1]
        for _ in range(BITS_A_STEP):
            values[:, frame] ^= _a_bit(random, clips)
    copies = int(clips * COPIES)
    originals = random.integers(0, clips - copies, copies)
    values[clips - copies :] = values[originals] ^ _a_bit(random, (copies, FRAMES))
    mirrored: Bool[np.ndarray, " copies"] = random.random(copies) < MIRRORED
    values[clips - copies :][mirrored] ^= np.uint64(MIRROR_BITS)
    made = HashedClips(
        hashes=values.ravel(),
        starts=np.arange(clips + 1) * FRAMES,
        sources=np.arange(clips),
        contents=np.arange(clips),
        tracks=np.zeros(clips, np.int64),
        seconds=np.tile([[0.0, 10.0]], (clips, 1)),
    )
    return made, originals


def _a_bit(random: np.random.Generator, shape: int | tuple[int, int]) -> UInt64[np.ndarray, ...]:
    return np.uint64(1) << random.integers(0, 64, shape, dtype=np.uint64)


def measure(hashes: int) -> dict[str, Any]:
    """Seconds and memory of finding the copies, and how many of the planted ones were found."""
    find_copies(made_clips(FRAMES * 20)[0], DuplicateSettings())  # compiled once a machine
    clips, originals = made_clips(hashes)
    before = _memory_bytes()
    started = time.perf_counter()
    copies = find_copies(clips, DuplicateSettings())
    seconds = time.perf_counter() - started
    planted = np.zeros(len(copies.kept), bool)
    planted[len(planted) - len(originals) :] = True
    found = copies.kept != np.arange(len(planted))
    return {
        "hashes": len(clips.hashes),
        "clips": len(planted),
        "seconds": round(seconds, 2),
        "memory_gb": round(_memory_bytes() / 1e9, 3),
        "memory_before_gb": round(before / 1e9, 3),
        "copies": int(planted.sum()),
        "found_right": int((copies.kept[planted] == originals).sum()),
        "found_wrong": int((found & ~planted).sum()),
    }


def measure_pairs(hashes: int) -> dict[str, Any]:
    """All near pairs of the same hashes, by the index and by the peer; they must agree."""
    values = made_clips(hashes)[0].hashes
    near_pairs(values[:100])
    started = time.perf_counter()
    pairs = near_pairs(values)
    own = time.perf_counter() - started
    name = "faiss IndexBinaryFlat" if importlib.util.find_spec("faiss") else "numpy"
    started = time.perf_counter()
    found = _pairs_by_faiss(values) if name != "numpy" else _pairs_by_numpy(values)
    theirs = time.perf_counter() - started
    return {
        "hashes": len(values),
        "pairs": len(pairs),
        "agree": found == len(pairs),
        "seconds": round(own, 2),
        "peer": name,
        "peer_seconds": round(theirs, 2),
    }


def _pairs_by_faiss(values: UInt64[np.ndarray, " n"]) -> int:
    faiss: Any = importlib.import_module("faiss")  # a peer, in no requirement of ours
    faiss.omp_set_num_threads(1)
    index = faiss.IndexBinaryFlat(64)
    codes = values.view(np.uint8).reshape(-1, 8)
    index.add(codes)
    limits, _, _ = index.range_search(codes, RADIUS + 1)
    return (int(limits[-1]) - len(values)) // 2


def _pairs_by_numpy(values: UInt64[np.ndarray, " n"]) -> int:
    found = 0
    for start in range(0, len(values), PEER_ROWS):
        rows = values[start : start + PEER_ROWS, None]
        found += int((np.bitwise_count(rows ^ values[None, start:]) <= RADIUS).sum())
        own = values[start : start + PEER_ROWS]  # pairs within the rows were counted twice
        found -= int((np.bitwise_count(own[:, None] ^ own) <= RADIUS).sum()) - _above(own)
    return found


def _above(own: UInt64[np.ndarray, " rows"]) -> int:
    return int(np.triu(np.bitwise_count(own[:, None] ^ own) <= RADIUS, 1).sum())


def _memory_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else "")
    parser.add_argument("--hashes", type=int, default=1_000_000)
    parser.add_argument("--peer-hashes", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.hashes)
    pairs = measure_pairs(options.peer_hashes)
    if options.json:
        print(json.dumps({"deduplicated": result, "pairs": pairs}))
        return
    print(
        f"{result['hashes']} hashes of {result['clips']} clips deduplicated in "
        f"{result['seconds']} s, {result['memory_gb']} GB at the most (goal: 300 s, 4 GB)\n"
        f"  {result['found_right']} of {result['copies']} planted copies found, "
        f"{result['found_wrong']} others taken for copies\n"
        f"{pairs['hashes']} hashes: {pairs['pairs']} pairs within {RADIUS} bits in "
        f"{pairs['seconds']} s, {pairs['peer']} in {pairs['peer_seconds']} s, "
        f"ratio {pairs['peer_seconds'] / pairs['seconds']:.1f}; "
        + ("the same pairs" if pairs["agree"] else "DIFFERENT PAIRS")
    )


if __name__ == "__main__":
    main()
