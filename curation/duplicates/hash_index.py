"""Finds hashes within 7 bits of each other without comparing all with all.

Multi-index hashing (Norouzi, Punjani and Fleet 2012, "Fast search in Hamming space with multi-index
hashing"): two hashes within 7 bits are within 1 bit in at least one of their four 16-bit bands, so
68 buckets hold every hash that is near. A bucket is a chain of entries, the newest first; nothing
is moved when a hash is added, and what is found is verified by counting bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np
from jaxtyping import Int32, Int64, UInt64

RADIUS = 7
"""Hashes that differ in at most so many bits are near."""

_BANDS = 4
_BAND_BITS = 16
_NONE = -1


class HashIndex(NamedTuple):
    """Hashes by their bands; a named tuple, as compiled code takes it."""

    hashes: UInt64[np.ndarray, " entries"]
    heads: Int32[np.ndarray, "bands buckets"]  # the newest entry of a bucket, or -1
    older: Int32[np.ndarray, "bands entries"]  # the next older one of its bucket, or -1


def empty_index(hashes: UInt64[np.ndarray, " entries"]) -> HashIndex:
    """An index that holds none of ``hashes`` yet; ``add`` takes them in by their place."""
    buckets = np.full((_BANDS, 1 << _BAND_BITS), _NONE, np.int32)
    return HashIndex(hashes, buckets, np.full((_BANDS, len(hashes)), _NONE, np.int32))


def near_pairs(hashes: UInt64[np.ndarray, " entries"]) -> Int64[np.ndarray, "pairs 2"]:
    """All pairs of places (earlier, later) whose hashes are within ``RADIUS`` bits, in order."""
    pairs = _pairs(empty_index(np.ascontiguousarray(hashes, np.uint64)))
    return pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))]


@numba.njit(cache=True, nogil=True, inline="always")
def count_bits(value):
    """How many bits of an unsigned 64-bit number are set."""
    value = value - ((value >> np.uint64(1)) & np.uint64(0x5555555555555555))
    value = (value & np.uint64(0x3333333333333333)) + (
        (value >> np.uint64(2)) & np.uint64(0x3333333333333333)
    )
    value = (value + (value >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
    return np.int64((value * np.uint64(0x0101010101010101)) >> np.uint64(56))


@numba.njit(cache=True, nogil=True)
def add(index, entry):
    """Take the hash at a place into the index."""
    for band in range(_BANDS):
        bucket = _band(index.hashes[entry], band)
        index.older[band, entry] = index.heads[band, bucket]
        index.heads[band, bucket] = entry


@numba.njit(cache=True, nogil=True)
def near(index, value, found):
    """Every entry near ``value``, once: (``found`` or a longer array that holds them, how many)."""
    count = 0
    for band in range(_BANDS):
        bucket = _band(value, band)
        for flipped in range(-1, _BAND_BITS):
            beside = bucket if flipped < 0 else bucket ^ (1 << flipped)
            entry = index.heads[band, beside]
            while entry != _NONE:
                apart = index.hashes[entry] ^ value
                if count_bits(apart) <= RADIUS and _first_near_band(apart) == band:
                    if count == len(found):
                        found = np.concatenate((found, np.empty_like(found)))
                    found[count] = entry
                    count += 1
                entry = index.older[band, entry]
    return found, count


@numba.njit(cache=True, nogil=True)
def _pairs(index):
    pairs, total = np.empty((1024, 2), np.int64), 0
    found = np.empty(1024, np.int64)
    for entry in range(len(index.hashes)):
        found, count = near(index, index.hashes[entry], found)
        while total + count > len(pairs):
            pairs = np.concatenate((pairs, np.empty_like(pairs)))
        for k in range(count):
            pairs[total + k, 0], pairs[total + k, 1] = found[k], entry
        total += count
        add(index, entry)
    return pairs[:total]


@numba.njit(cache=True, nogil=True, inline="always")
def _band(value, band):
    return np.int64((value >> np.uint64(_BAND_BITS * band)) & np.uint64(0xFFFF))


@numba.njit(cache=True, nogil=True, inline="always")
def _first_near_band(apart):
    """The first band in which two hashes are within a bit: there the pair is reported."""
    for band in range(_BANDS):
        part = np.uint64(_band(apart, band))
        if part & (part - np.uint64(1)) == 0:
            return band
    return _BANDS
