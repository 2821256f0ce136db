"""The arrays of an SMPL-format body file: their names, shapes and checks; reading and writing."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dataset.records import SMPL_JOINTS
from rendering.smpl_pickle import read_smpl_pickle

_JOINTS = len(SMPL_JOINTS)
_SHAPES = {
    "v_template": ("V", 3),
    "shapedirs": ("V", 3, "at least 10"),
    "posedirs": ("V", 3, 9 * (_JOINTS - 1)),
    "J_regressor": (_JOINTS, "V"),
    "weights": ("V", _JOINTS),
    "kintree_table": (2, _JOINTS),
    "f": ("T", 3),
}


def read_body_file(path: Path) -> dict[str, np.ndarray]:
    """The arrays of an SMPL body model from ``.npz`` or ``.pkl``, checked, floats as float32.

    Keys: ``v_template`` (V, 3), ``shapedirs`` (V, 3, >= 10), ``posedirs`` (V, 3, 207),
    ``J_regressor`` (24, V), ``weights`` (V, 24), ``kintree_table`` (2, 24), ``f`` (T, 3). Raises
    ``ValueError`` that says what is wrong with a file that is no SMPL body model.
    """
    if not path.is_file():
        raise ValueError(f"no body model at {path}: give an SMPL .npz or .pkl file, or none at all")
    if path.suffix == ".pkl":
        arrays = read_smpl_pickle(path)
    elif path.suffix == ".npz":
        arrays = _read_npz(path)
    else:
        raise ValueError(f"a body model is an .npz or .pkl file, got {path}")
    return _checked(arrays, path)


def write_body_file(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a compressed ``.npz`` whose bytes depend on the arrays alone (no time stamps)."""
    temporary = path.with_name(path.name + ".tmp")
    with zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(arrays):
            data = io.BytesIO()
            np.lib.format.write_array(data, np.ascontiguousarray(arrays[name]))
            entry = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data.getvalue(), compresslevel=9)
    os.replace(temporary, path)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    if path.is_file() and not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not a body model: no .npz archive, but something else")
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            return {name: file[name] for name in _SHAPES if name in file}
    except (ValueError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise ValueError(f"{path} is not a body model: {error}") from error


def _checked(arrays: Mapping[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    missing = [name for name in _SHAPES if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} is not an SMPL body model: it lacks {', '.join(missing)}; found "
            f"{', '.join(sorted(arrays)) or 'nothing'}"
        )
    vertices = len(arrays["v_template"]) if arrays["v_template"].ndim else 0
    for name, expected in _SHAPES.items():
        _check_shape(arrays[name], expected, vertices, f"{name} of {path}")
    for name in ("f", "kintree_table"):
        if arrays[name].dtype.kind not in "iu":
            raise ValueError(f"{name} of {path} must hold integers, got {arrays[name].dtype}")
    triangles = arrays["f"].astype(np.int64)
    if triangles.size == 0 or triangles.min() < 0 or triangles.max() >= vertices:
        raise ValueError(f"f of {path} must index the {vertices} vertices, and does not")
    floats = {
        name: _finite(arrays[name], f"{name} of {path}")
        for name in _SHAPES
        if name not in ("f", "kintree_table")
    }
    return floats | {
        "f": triangles.astype(np.int32),
        # the official files store the root's parent as 2**32 - 1
        "kintree_table": arrays["kintree_table"].astype(np.int64).astype(np.int32),
    }


def _check_shape(
    array: np.ndarray, expected: tuple[int | str, ...], vertices: int, what: str
) -> None:
    wanted = tuple(vertices if size == "V" else size for size in expected)
    fits = array.ndim == len(wanted) and all(
        size == want or want == "T" or (want == "at least 10" and size >= 10)
        for size, want in zip(array.shape, wanted, strict=True)
    )
    if not fits:
        raise ValueError(f"{what} must have shape {wanted}, got {array.shape}")


def _finite(array: np.ndarray, what: str) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise ValueError(f"{what} must hold numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} holds NaNs or infinities")
    return array.astype(np.float32)
