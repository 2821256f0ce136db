"""A 64-bit perceptual hash of a frame: the signs of its 64 lowest frequencies.

As pHash (Zauner 2010, "Implementation and benchmarking of perceptual image hash functions"), with
three differences. Bars at the edges are cut off first. Signs are taken against 0 in place of the
median, so that a mirrored picture, whose odd horizontal frequencies change sign, has the hash
``mirrored_hash(hash)``: nothing needs to be hashed twice. And a picture too plain to be told from
others has no hash.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from curation.duplicates.picture import grey_thumbnail, inside_borders, low_frequencies

HASHES_PER_SECOND = 3.0
"""How often a clip is hashed: every tenth frame at the pipeline's 30."""

NO_HASH = 0
"""The hash of a picture too plain to be compared (black, a flat wall); it is never like another."""

HASH_BYTES = 8

_STRONG = 4.0  # grey levels, orthonormal: encoding moves a frequency by up to 2, ours
_LEAST_STRONG = 24  # of 64; sample media have 36 and more, a gradient or a lone bar under 16, ours


def _frequencies() -> np.ndarray:
    """The 64 lowest (vertical, horizontal) frequencies but (0, 0).

    Each 16 bits of a hash have low and high ones, so that they tell pictures apart equally well
    (``curation.duplicates.hash_index`` looks hashes up by 16 of their bits).
    """
    grid = [(down, right) for down in range(12) for right in range(12) if down + right]
    nearest = sorted(grid, key=lambda at: (sum(at), max(at), at))[:64]
    return np.array(nearest).reshape(16, 4, 2).swapaxes(0, 1).reshape(64, 2)


_DOWN, _RIGHT = _frequencies().T
MIRROR_BITS = int(np.packbits(_RIGHT % 2).view(">u8")[0])
"""The bits that change when a picture is mirrored."""


def frame_hash(frame: UInt8[np.ndarray, "height width 3"]) -> int:
    """The hash of an RGB frame, 0 to 2**64 - 1, or ``NO_HASH``.

    Hamming distances on the sample media: 0 to 2 after re-encoding, scaling or squeezing, 1 to 5
    with borders, overlays or other exposure, 13 and more to other scenes.
    """
    picture = inside_borders(grey_thumbnail(frame))
    if picture is None:
        return NO_HASH
    frequencies = low_frequencies(picture)[_DOWN, _RIGHT]
    if (abs(frequencies) > _STRONG).sum() < _LEAST_STRONG:
        return NO_HASH
    return int(np.packbits(frequencies > 0).view(">u8")[0])


def mirrored_hash(value: int) -> int:
    """The hash of the same picture seen in a mirror."""
    return value ^ MIRROR_BITS if value != NO_HASH else NO_HASH
