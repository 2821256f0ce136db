"""Finds hashes within 7 bits of each other without comparing all with all.

Multi-index hashing (Norouzi, Punjani and Fleet 2012, "Fast search in Hamming space with multi-index
hashing"): two hashes within 7 bits are within 1 bit in at least one of their four 16-bit bands, so
68 buckets hold every hash that is near. A bucket lies in one piece and is as long as all hashes
that may ever be added to it, so that reading it is fast and nothing is moved; what is read is
verified by counting bits.
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


class HashIndex(NamedTuple):
    """Hashes by their bands; a named tuple, as compiled code takes it."""

    hashes: UInt64[np.ndarray, " entries"]
    starts: Int64[np.ndarray, "bands buckets"]  # where a bucket begins
    lengths: Int64[np.ndarray, "bands buckets"]  # how much of it was added so far
    values: UInt64[np.ndarray, "bands entries"]  # the hashes in the order of their buckets
    places: Int32[np.ndarray, "bands entries"]  # where in ``hashes`` they are


def empty_index(hashes: UInt64[np.ndarray, " entries"]) -> HashIndex:
    """An index that holds none of ``hashes`` yet; ``add`` takes them in by their place."""
    shape = (_BANDS, len(hashes))
    starts = np.zeros((_BANDS, 1 << _BAND_BITS), np.int64)
    for band in range(_BANDS):
        buckets = (hashes >> np.uint64(_BAND_BITS * band)) & np.uint64(0xFFFF)
        sizes = np.bincount(buckets.astype(np.int64), minlength=1 << _BAND_BITS)
        starts[band, 1:] = np.cumsum(sizes)[:-1]
    values, places = np.empty(shape, np.uint64), np.empty(shape, np.int32)
    return HashIndex(hashes, starts, np.zeros_like(starts), values, places)


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
def add(index, place):
    """Take the hash at a place into the index."""
    value = index.hashes[place]
    for band in range(_BANDS):
        bucket = _band(value, band)
        entry = index.starts[band, bucket] + index.lengths[band, bucket]
        index.values[band, entry], index.places[band, entry] = value, place
        index.lengths[band, bucket] += 1


@numba.njit(cache=True, nogil=True)
def near(index, value, found):
    """Places of hashes near ``value``, each once: (``found`` or a longer array, how many)."""
    count = 0
    for band in range(_BANDS):
        bucket = _band(value, band)
        for flipped in range(-1, _BAND_BITS):
            beside = bucket if flipped < 0 else bucket ^ (1 << flipped)
            start = index.starts[band, beside]
            for entry in range(start, start + index.lengths[band, beside]):
                apart = index.values[band, entry] ^ value
                if count_bits(apart) <= RADIUS and _first_near_band(apart) == band:
                    if count == len(found):
                        found = np.concatenate((found, np.empty_like(found)))
                    found[count] = index.places[band, entry]
                    count += 1
    return found, count


@numba.njit(cache=True, nogil=True)
def _pairs(index):
    pairs, total = np.empty((1024, 2), np.int64), 0
    found = np.empty(1024, np.int64)
    for place in range(len(index.hashes)):
        found, count = near(index, index.hashes[place], found)
        while total + count > len(pairs):
            pairs = np.concatenate((pairs, np.empty_like(pairs)))
        for k in range(count):
            pairs[total + k, 0], pairs[total + k, 1] = found[k], place
        total += count
        add(index, place)
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
