from __future__ import annotations

import os
import pickle
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse

from rendering.body_file import read_body_file
from rendering.body_model import SHIPPED_BODY, BodyModel
from rendering.smpl_pickle import read_smpl_pickle


@pytest.fixture
def chumpy_module() -> Iterator[types.ModuleType]:
    """A chumpy that can be pickled from, gone again when the file is read."""
    package, ch = types.ModuleType("chumpy"), types.ModuleType("chumpy.ch")

    class Ch:
        def __init__(self, x: np.ndarray) -> None:
            self.x = x
            self._dirty_vars = {"x"}
            self._itr = None

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    ch.Ch = Ch  # type: ignore[attr-defined]
    sys.modules["chumpy"], sys.modules["chumpy.ch"] = package, ch
    yield ch
    sys.modules.pop("chumpy", None)
    sys.modules.pop("chumpy.ch", None)


def write_official_layout(path: Path, arrays: dict[str, np.ndarray], ch: types.ModuleType) -> None:
    """The entries and types of the official file, in protocol 2 as Python 2 wrote it."""
    parents = arrays["kintree_table"].astype(np.int64)
    parents[0, 0] = 2**32 - 1
    content = {
        "v_template": arrays["v_template"].astype(np.float64),
        "shapedirs": ch.Ch(arrays["shapedirs"].astype(np.float64)),
        "posedirs": arrays["posedirs"],
        "J_regressor": scipy.sparse.csc_matrix(arrays["J_regressor"]),
        "J_regressor_prior": scipy.sparse.csr_matrix(arrays["J_regressor"]),
        "weights": ch.Ch(arrays["weights"]),
        "kintree_table": parents.astype(np.uint32),
        "f": arrays["f"].astype(np.uint32),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
        "vert_sym_idxs": np.arange(3),
    }
    path.write_bytes(pickle.dumps(content, protocol=2))
    del sys.modules["chumpy"], sys.modules["chumpy.ch"]


def test_official_layout_loads_without_chumpy(
    tmp_path: Path, chumpy_module: types.ModuleType
) -> None:
    """Numpy, sparse and chumpy entries give the same body as the npz they were made from."""
    arrays = read_body_file(SHIPPED_BODY)
    path = tmp_path / "SMPL_NEUTRAL.pkl"
    write_official_layout(path, arrays, chumpy_module)
    loaded = BodyModel.load(path)
    for name in ("v_template", "shapedirs", "J_regressor", "weights", "f"):
        np.testing.assert_allclose(loaded.rest[name], arrays[name], atol=1e-7, err_msg=name)
    assert loaded.name == "SMPL_NEUTRAL"
    assert loaded.height_m(np.zeros(10, np.float32)) > 1.6


class Malicious:
    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return self.call


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
def test_malicious_pickle_is_refused_and_not_run(tmp_path: Path, protocol: int) -> None:
    """A pickle that names os.mkdir is refused by that name, and the folder is never made."""
    victim = tmp_path / "made"
    path = tmp_path / "body.pkl"
    content = {"v_template": Malicious(os.mkdir, str(victim))}
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    with pytest.raises(ValueError, match=r"names (posix|nt|os)\.mkdir.*nothing was run"):
        read_smpl_pickle(path)
    assert not victim.exists()


@pytest.mark.parametrize(
    "program",
    [
        b"cbuiltins\neval\n(S'1+1'\ntR.",
        b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        b"cscipy.sparse\nload_npz\n(S'/etc/passwd'\ntR.",
        b"cnumpy.f2py.diagnose\nrun\n(tR.",
        b"ccopyreg\n_reconstructor\n(c__builtin__\nset\nc__builtin__\nobject\nNtR.",
    ],
)
def test_every_other_name_is_refused(tmp_path: Path, program: bytes) -> None:
    """Also functions of the very libraries whose arrays are allowed."""
    path = tmp_path / "body.pkl"
    path.write_bytes(program)
    with pytest.raises(ValueError, match="does not belong in a body model"):
        read_smpl_pickle(path)


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps({"a": 1})[:-4]])
def test_broken_pickle_is_a_clear_error(tmp_path: Path, content: bytes) -> None:
    """Truncated or foreign bytes are a ValueError that names the file."""
    path = tmp_path / "body.pkl"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"body\.pkl"):
        read_smpl_pickle(path)


def test_pickle_of_something_else_is_refused(tmp_path: Path) -> None:
    """A list is no dictionary of arrays; a dictionary without the arrays is no body."""
    path = tmp_path / "body.pkl"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(ValueError, match="found list"):
        read_smpl_pickle(path)
    path.write_bytes(pickle.dumps({"x": np.zeros(3)}))
    with pytest.raises(ValueError, match="lacks v_template"):
        BodyModel.load(path)
