from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import smplx
import torch
from smplx.utils import Struct

from dataset.records import SMPL_JOINTS, SMPL_PARENTS, BodyTrack, Camera
from rendering.body_file import read_body_file, write_body_file
from rendering.body_model import SHIPPED_BODY, BodyModel

BODY = BodyModel.load()
CAMERA = Camera(focal_length_px=10000.0, width=512, height=512)


def make_track(frames: int, seed: int = 0, size: float = 0.4) -> BodyTrack:
    random = np.random.default_rng(seed)
    return BodyTrack(
        betas=random.normal(0, 0.5, 10).astype(np.float32),
        global_orient=random.normal((np.pi, 0, 0), size, (frames, 3)).astype(np.float32),
        body_pose=random.normal(0, size, (frames, 23, 3)).astype(np.float32),
        transl=random.normal((0, 0, 40), 0.2, (frames, 3)).astype(np.float32),
        camera=CAMERA,
        reprojection_error_px=np.zeros(frames, np.float32),
    )


def test_shipped_body_is_an_adult_in_smpls_t_pose() -> None:
    """1.6 to 1.85 m tall, y up, facing +z, arms along x at one height, left at +x."""
    betas = np.zeros(10, np.float32)
    at = dict(zip(SMPL_JOINTS, BODY.rest_joints(betas), strict=True))
    assert 1.6 < BODY.height_m(betas) < 1.85
    assert np.linalg.norm(at["pelvis"] - [0, -0.22, 0.03]) < 0.02
    assert at["head"][1] > at["pelvis"][1] > at["left_knee"][1] > at["left_foot"][1]
    assert at["left_foot"][2] > at["left_ankle"][2] + 0.05
    assert at["left_wrist"][0] > 0.6
    assert at["right_wrist"][0] < -0.6
    arm = at["left_wrist"] - at["left_shoulder"]
    assert np.abs(arm[1:]).max() < 0.02 * arm[0]


def test_shipped_body_is_symmetric() -> None:
    """Mirroring the rest joints gives the other side's joints to 5 mm."""
    joints = BODY.rest_joints(np.zeros(10, np.float32))
    for index, name in enumerate(SMPL_JOINTS):
        other = SMPL_JOINTS.index(
            name.replace("left_", "R").replace("right_", "left_").replace("R", "right_")
        )
        assert np.abs(joints[other] * [-1, 1, 1] - joints[index]).max() < 0.005


def test_first_beta_runs_with_height() -> None:
    """Two units of beta 0 make the body 10 to 40 cm taller; the others move height far less."""
    heights = [BODY.height_m(2 * np.eye(10, dtype=np.float32)[i]) for i in range(10)]
    base = BODY.height_m(np.zeros(10, np.float32))
    assert 0.1 < heights[0] - base < 0.4
    assert max(abs(height - base) for height in heights[1:]) < 0.05


def test_arrays_have_smpls_layout() -> None:
    """Weights and regressor rows sum to one, the tree is SMPL's, every part owns vertices."""
    rest = BODY.rest
    np.testing.assert_allclose(rest["weights"].sum(1), 1, atol=1e-5)
    np.testing.assert_allclose(rest["J_regressor"].sum(1), 1, atol=1e-5)
    assert rest["kintree_table"][0].tolist() == list(SMPL_PARENTS)
    assert np.bincount(BODY.mesh.vertex_parts, minlength=24).min() > 20
    assert SHIPPED_BODY.stat().st_size < 5e6
    assert (SHIPPED_BODY.parent / "LICENSE.txt").read_text().count("CC0") > 0


def test_mesh_is_oriented_outwards() -> None:
    """The signed volume of the rest body is that of a person, so triangles face outwards."""
    corners = BODY.rest["v_template"][BODY.mesh.triangles].astype(np.float64)
    volume = np.einsum("ti,ti->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert 0.04 < volume < 0.12  # cubic metres; the sockets are open by a little


def test_vertices_and_joints_agree_with_smplx() -> None:
    """Chunks, rotations and translation give what one plain smplx call gives, to 1e-4 m."""
    track = make_track(19)
    model = smplx.SMPL(model_path="", data_struct=Struct(**BODY.rest), num_betas=10)
    expected = model(
        betas=torch.from_numpy(track.betas)[None].expand(19, -1),
        body_pose=torch.from_numpy(track.body_pose).flatten(1),
        global_orient=torch.from_numpy(track.global_orient),
        transl=torch.from_numpy(track.transl),
    )
    np.testing.assert_allclose(BODY.vertices(track), expected.vertices.detach(), atol=1e-4)
    np.testing.assert_allclose(BODY.joints(track), expected.joints.detach()[:, :24], atol=1e-4)


def test_elbows_and_knees_bend_as_smpls_do() -> None:
    """-y bends the left elbow and +y the right one forward; +x bends a knee backward."""
    pose = np.zeros((1, 23, 3), np.float32)
    pose[0, SMPL_JOINTS.index("left_elbow") - 1] = [0, -1.5, 0]
    pose[0, SMPL_JOINTS.index("right_elbow") - 1] = [0, 1.5, 0]
    pose[0, SMPL_JOINTS.index("left_knee") - 1] = [1.5, 0, 0]
    track = BodyTrack(
        betas=np.zeros(10, np.float32),
        global_orient=np.zeros((1, 3), np.float32),
        body_pose=pose,
        transl=np.zeros((1, 3), np.float32),
        camera=CAMERA,
        reprojection_error_px=np.zeros(1, np.float32),
    )
    at = dict(zip(SMPL_JOINTS, BODY.joints(track)[0], strict=True))
    assert at["left_wrist"][2] > at["left_elbow"][2] + 0.15
    assert at["right_wrist"][2] > at["right_elbow"][2] + 0.15
    assert at["left_ankle"][2] < at["left_knee"][2] - 0.3


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("v_template", None, "lacks v_template"),
        ("shapedirs", np.zeros((5, 3, 10)), "shapedirs .* must have shape"),
        ("weights", np.full((13348, 24), np.nan), "weights .* NaNs"),
        ("f", np.array([[0, 1, 999999]]), "must index the 13348 vertices"),
        ("f", np.zeros((4, 3)), "must hold integers"),
        ("v_template", np.array(["a"]), "must have shape"),
    ],
)
def test_file_that_is_no_body_is_refused(
    tmp_path: Path, name: str, value: np.ndarray | None, message: str
) -> None:
    """Missing arrays, wrong sizes, NaNs and wild indices are named in the error."""
    arrays = read_body_file(SHIPPED_BODY) | {name: value}
    path = tmp_path / "body.npz"
    np.savez(path, **{key: item for key, item in arrays.items() if item is not None})
    with pytest.raises(ValueError, match=message):
        BodyModel.load(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04 broken"])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no archive is a clear ValueError."""
    path = tmp_path / "body.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not a body model"):
        BodyModel.load(path)


def test_missing_file_and_unknown_format_are_refused(tmp_path: Path) -> None:
    """No file, or one of another format, says what is wanted."""
    with pytest.raises(ValueError, match="no body model at"):
        BodyModel.load(tmp_path / "none.npz")
    (tmp_path / "body.obj").write_text("v 0 0 0")
    with pytest.raises(ValueError, match=r"\.npz or \.pkl"):
        BodyModel.load(tmp_path / "body.obj")


def test_file_is_written_the_same_twice(tmp_path: Path) -> None:
    """The bytes depend on the arrays alone, and read back as they were."""
    arrays = {"b": np.arange(5), "a": np.eye(3)}
    write_body_file(tmp_path / "one.npz", arrays)
    write_body_file(tmp_path / "two.npz", dict(reversed(arrays.items())))
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    np.testing.assert_array_equal(np.load(tmp_path / "one.npz")["a"], np.eye(3))


def test_track_of_the_wrong_shape_is_refused() -> None:
    """A track whose arrays do not fit each other is the caller's mistake."""
    track = replace(make_track(3), global_orient=np.zeros((2, 3), np.float32))
    with pytest.raises(ValueError, match=r"global_orient .* must be float32"):
        BODY.joints(track)
