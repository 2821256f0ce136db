"""Tensors as columns of a table: float16, little-endian, row by row, with their shape beside."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Float32

from dataset.errors import ItemError

_STORED = np.dtype("<f2")


def pack_tensor(values: Float[np.ndarray, ...]) -> tuple[bytes, list[int]]:
    """The bytes and the shape to store; values lose what float16 cannot hold (about 0.05 %).

    Raises:
        ItemError: ``encode.not_finite``: a value that is not finite, or beyond float16's range.
    """
    stored = values.astype(_STORED)
    if not np.isfinite(stored).all():
        raise ItemError(
            "encode.not_finite",
            f"a tensor of shape {values.shape} holds values that float16 cannot: "
            f"largest magnitude {np.abs(values).max()}",
        )
    return stored.tobytes(), list(values.shape)


def unpack_tensor(data: object, shape: object) -> Float32[np.ndarray, ...]:
    """What ``pack_tensor`` stored, as float32.

    Raises:
        ValueError: The bytes do not have the shape's size.
    """
    if not isinstance(data, bytes) or not isinstance(shape, Sequence):
        raise ValueError(f"expected bytes and a shape, got {type(data)} and {type(shape)}")
    expected = int(np.prod(shape)) * _STORED.itemsize
    if len(data) != expected:
        raise ValueError(f"a tensor of shape {tuple(shape)} has {expected} bytes, got {len(data)}")
    return np.frombuffer(data, _STORED).reshape(tuple(shape)).astype(np.float32)
