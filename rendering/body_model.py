"""The body: SMPL through ``smplx``, from the file that ships with the package or the user's own."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import numpy as np
import smplx
import torch
from jaxtyping import Float32
from smplx.utils import Struct

from dataset.records import SMPL_JOINTS, BodyTrack
from rendering.body_file import read_body_file
from rendering.kinematics import forward_kinematics, rotation_matrices
from rendering.mesh import Mesh

SHIPPED_BODY = Path(__file__).parent / "body_data" / "body.npz"
"""Made by ``rendering/body_build.py``; see ``body_data/LICENSE.txt``."""

_CHUNK_FRAMES = 16  # about 2 MB a frame while skinning the shipped body
_FACE_NAMES = ("nose", "reye", "leye", "rear", "lear")


class BodyModel:
    """An SMPL-format body: from the parameters of a ``BodyTrack`` to vertices and joints.

    ``rest`` holds the file's arrays (see ``rendering.body_file.read_body_file``); ``mesh`` its
    triangles and the part of every vertex, the argmax of its skinning weights (conventions: Body
    model).
    """

    def __init__(self, rest: dict[str, np.ndarray], name: str) -> None:
        self.rest = rest
        self.name = name
        self.mesh = Mesh(
            triangles=np.ascontiguousarray(rest["f"], dtype=np.int32),
            vertex_parts=rest["weights"].argmax(axis=1).astype(np.int32),
        )
        with contextlib.redirect_stdout(io.StringIO()):  # it prints that ten betas are few
            self._smpl = smplx.SMPLLayer(
                model_path="",
                data_struct=Struct(**rest),
                num_betas=10,
                use_hands=False,
                use_feet_keypoints=False,
                vertex_ids=dict.fromkeys(_FACE_NAMES, 0),  # the ids of SMPL's mesh are not ours
            )

    @classmethod
    def load(cls, path: Path | None = None) -> BodyModel:
        """Read an SMPL ``.npz`` or ``.pkl``; without a path, the body that ships.

        Raises ``ValueError`` saying what is missing, of the wrong size, not finite, or not allowed
        in a pickle.
        """
        file = SHIPPED_BODY if path is None else path
        return cls(read_body_file(file), file.stem)

    @torch.no_grad()
    def vertices(self, track: BodyTrack) -> Float32[np.ndarray, "frames vertices 3"]:
        """The skin of every frame in camera space (x right, y down, z forward), metres.

        The translation is added: a vertex is ``smpl_vertex + transl`` (conventions: Camera).
        """
        check_track(track)
        betas = torch.from_numpy(track.betas)[None]
        out = np.empty((track.frames, len(self.rest["v_template"]), 3), np.float32)
        for start in range(0, track.frames, _CHUNK_FRAMES):
            span = slice(start, start + _CHUNK_FRAMES)
            root = torch.from_numpy(track.global_orient[span])
            pose = torch.from_numpy(track.body_pose[span])
            posed = self._smpl(
                betas=betas.expand(len(pose), -1),
                body_pose=rotation_matrices(pose),
                global_orient=rotation_matrices(root[:, None]),
                transl=torch.from_numpy(track.transl[span]),
                pose2rot=False,
            )
            out[span] = posed.vertices.numpy()
        return out

    @torch.no_grad()
    def joints(self, track: BodyTrack) -> Float32[np.ndarray, "frames 24 3"]:
        """The joints of every frame in camera space, metres, in the order of ``SMPL_JOINTS``."""
        check_track(track)
        rest = torch.from_numpy(self.rest_joints(track.betas))
        pose = np.concatenate([track.global_orient[:, None], track.body_pose], axis=1)
        posed, _ = forward_kinematics(rotation_matrices(torch.from_numpy(pose)), rest)
        return posed.numpy() + track.transl[:, None]

    def rest_vertices(self, betas: Float32[np.ndarray, " 10"]) -> Float32[np.ndarray, "vertices 3"]:
        """The skin in the T-pose, y up and facing +z, metres."""
        return self.rest["v_template"] + self.rest["shapedirs"][..., :10] @ betas

    def rest_joints(self, betas: Float32[np.ndarray, " 10"]) -> Float32[np.ndarray, "24 3"]:
        """The joints in the T-pose, y up and facing +z, metres."""
        return self.rest["J_regressor"] @ self.rest_vertices(betas)

    def height_m(self, betas: Float32[np.ndarray, " 10"]) -> float:
        """From sole to crown in the T-pose."""
        return float(np.ptp(self.rest_vertices(betas)[:, 1]))


def check_track(track: BodyTrack) -> None:
    """Refuse a track whose arrays are not float32 of the shapes that its frames ask for.

    Raises:
        ValueError: naming the array, what was expected and what came.
    """
    frames = len(track.transl)
    expected = {
        "betas": (10,),
        "global_orient": (frames, 3),
        "body_pose": (frames, len(SMPL_JOINTS) - 1, 3),
        "transl": (frames, 3),
    }
    for name, shape in expected.items():
        array = getattr(track, name)
        if array.shape != shape or array.dtype != np.float32:
            raise ValueError(
                f"{name} of a body track of {frames} frames must be float32 {shape}, "
                f"got {array.dtype} {array.shape}"
            )
