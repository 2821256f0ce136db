"""Reads the official SMPL pickle without running anything in it.

The licensed ``SMPL_NEUTRAL.pkl`` is a Python 2 pickle of numpy arrays, scipy sparse matrices and
chumpy arrays. A pickle can name any function for the reader to call, so the unpickler here knows
the handful of names that such a file needs, stands inert holders in for scipy's and chumpy's
classes, and refuses every other name before anything is called.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
import scipy.sparse

MAX_BYTES = 1 << 30
"""The official file has 39 MB (the one with 300 betas 248 MB)."""


def read_smpl_pickle(path: Path) -> dict[str, np.ndarray]:
    """The numeric arrays of an SMPL pickle, by name; sparse matrices come back dense.

    Entries that are no arrays (names, styles) are left out. Raises ``ValueError`` naming what was
    found where the file is no pickle of a dictionary, or names anything beyond numpy arrays, scipy
    sparse matrices and chumpy arrays.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size} bytes, more than a body model ever has")
    with path.open("rb") as file:
        content = _load(file, path)
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a dictionary of arrays, found {type(content).__name__}")
    arrays = {}
    for name, value in content.items():
        array = _as_array(value, f"{name} of {path}")
        if array is not None and isinstance(name, str):
            arrays[name] = array
    return arrays


class _Holder:
    """Stands in for an object of a library: keeps its state and can do nothing."""

    def __setstate__(self, state: object) -> None:
        self.state = state if isinstance(state, dict) else {}


class _SparseMatrix(_Holder):
    """A scipy CSC or CSR matrix."""


class _SparseMatrixByRows(_SparseMatrix):
    """A scipy CSR matrix."""


class _ChumpyArray(_Holder):
    """``chumpy.ch.Ch``: its value is the state's ``x``."""


class _ChumpySelection(_Holder):
    """``chumpy.reordering.Select``: ``a.ravel()[idxs]`` in ``preferred_shape``."""


def _new_holder(kind: object, _base: object, _state: object) -> _Holder:
    """What ``copy_reg._reconstructor`` does, for holders alone."""
    if not (isinstance(kind, type) and issubclass(kind, _Holder)):
        raise pickle.UnpicklingError(f"an object of {kind!r} does not belong in a body model")
    return kind()


def _encode(text: object, encoding: object = "latin1") -> bytes:
    """What ``_codecs.encode`` does for the bytes of an array."""
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError(f"bytes encoded as {encoding!r} do not belong in a body model")
    return text.encode("latin1")


_NUMPY = {
    "_reconstruct": np._core.multiarray._reconstruct,  # type: ignore[attr-defined]
    "scalar": np._core.multiarray.scalar,  # type: ignore[attr-defined]
}
_ALLOWED: dict[tuple[str, str], Callable[..., object]] = {
    **{("numpy.core.multiarray", name): function for name, function in _NUMPY.items()},
    **{("numpy._core.multiarray", name): function for name, function in _NUMPY.items()},
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("copy_reg", "_reconstructor"): _new_holder,
    ("copyreg", "_reconstructor"): _new_holder,
    ("__builtin__", "object"): object,
    ("builtins", "object"): object,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
    ("_codecs", "encode"): _encode,
    ("chumpy.ch", "Ch"): _ChumpyArray,
    ("chumpy", "Ch"): _ChumpyArray,
    ("chumpy.reordering", "Select"): _ChumpySelection,
}


class _BodyUnpickler(pickle.Unpickler):
    """Finds the allowed names and no others (the library's own hook for this)."""

    def find_class(self, module_name: str, global_name: str) -> Callable[..., object]:
        if module_name.split(".")[:2] == ["scipy", "sparse"]:
            holders = {"csc_matrix": _SparseMatrix, "csr_matrix": _SparseMatrixByRows}
            found = holders.get(global_name)
        else:
            found = _ALLOWED.get((module_name, global_name))
        if found is None:
            raise pickle.UnpicklingError(
                f"it names {module_name}.{global_name}, which does not belong in a body model; "
                "nothing was run"
            )
        return found


def _load(file: BinaryIO, path: Path) -> object:
    try:
        return _BodyUnpickler(file, encoding="latin1").load()
    except pickle.UnpicklingError as error:
        raise ValueError(f"{path} was refused: {error}") from error
    # a pickle is a program: a broken one fails in whatever it was doing
    except (EOFError, AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a readable pickle: {error}") from error


def _as_array(value: object, what: str) -> np.ndarray | None:
    """The numbers in a value, or None for what holds none (text, lists, other entries)."""
    try:
        if isinstance(value, _SparseMatrix):
            return _dense(value)
        if isinstance(value, _ChumpyArray):
            return np.asarray(value.state["x"])
        if isinstance(value, _ChumpySelection):
            source = _as_array(value.state["a"], what)
            picked = np.ravel(np.asarray(source))[np.asarray(value.state["idxs"])]
            return picked.reshape(value.state["preferred_shape"])
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(f"{what} cannot be read: {error!r}") from error
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiu":
        return value
    return None


def _dense(matrix: _SparseMatrix) -> np.ndarray:
    state = matrix.state
    kind = (
        scipy.sparse.csr_matrix
        if isinstance(matrix, _SparseMatrixByRows)
        else scipy.sparse.csc_matrix
    )
    shape = state["_shape"] if "_shape" in state else state["shape"]
    return kind((state["data"], state["indices"], state["indptr"]), shape=shape).toarray()
