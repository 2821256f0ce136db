"""How well and how fast bodies of known pose are found again from a noisy detector's points.

    python -m benchmarks.fitting [--frames 100] [--seeds 3] [--json] [--peers]

Every motion of ``benchmarks.motions`` is fitted for ``--seeds`` bodies under a fixed and a moving
camera: from 2D points and 3D landmarks, with the silhouette too, and from the 2D points alone.
Figures in millimetres: ``mpjpe`` after the roots are put together, ``pa_mpjpe`` after the best
similarity per frame, ``worst`` the worst frame's, ``vertex`` of the skin after the roots are put
together, ``height`` of the body in the T-pose, ``path`` of the root across the picture; ``depth``
is the error of its distance in percent, both against the first frame. ``betas`` is the root mean
square error; ``jitter`` the mean joint acceleration over the truth's; ``slide`` how fast the ankles
of planted feet move, mm/s; ``flips`` how many limb bones point more than 90 degrees away though the
detector saw both ends, in frames times bones, ``unseen_flips`` the same of bones it did not see;
``failed`` how many clips could not be fitted; ``seconds`` one fit on one thread. ``--peers`` times
two usual ways to fit instead (``benchmarks.fitting_peers``).
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from benchmarks.fitting_peers import compare
from benchmarks.motions import MOTIONS, Noise, make_motion, observe, planted, silhouette
from dataset.errors import ItemError
from dataset.records import BODY_POINTS, SMPL_JOINTS, BodyTrack, Keypoints
from rendering.body_model import BodyModel
from rendering.fitting import KeypointFitter
from rendering.fitting_settings import FitSettings

FPS = 30.0
Evidence = Literal["points", "silhouette", "2d"]
EVIDENCE: dict[str, Evidence] = {
    "2D points and 3D landmarks": "points",
    "the silhouette too": "silhouette",
    "2D points alone": "2d",
}
_BONES = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
_PLANTED_M_PER_S = 0.05

_TOTALS = {"worst": np.max, "flips": np.sum, "unseen_flips": np.sum, "failed": np.sum}

Row = dict[str, float]


def measure(truth: BodyTrack, fitted: BodyTrack, body: BodyModel, keypoints: Keypoints) -> Row:
    """The figures of one clip (see the module)."""
    true_joints, joints = body.joints(truth)[:, :22], body.joints(fitted)[:, :22]
    skin = body.vertices(fitted) - body.joints(fitted)[:, :1]
    true_skin = body.vertices(truth) - body.joints(truth)[:, :1]
    true_rooted, rooted = true_joints - true_joints[:, :1], joints - joints[:, :1]
    aligned = np.stack(
        [procrustes(mine, true) - true for mine, true in zip(joints, true_joints, strict=True)]
    )
    return {
        "mpjpe": _millimetres(rooted - true_rooted),
        "worst": float(1000 * np.linalg.norm(rooted - true_rooted, axis=-1).mean(1).max()),
        "pa_mpjpe": _millimetres(aligned),
        "vertex": _millimetres(skin - true_skin),
        "betas": float(np.sqrt(np.square(fitted.betas - truth.betas).mean())),
        "height": 1000 * abs(body.height_m(fitted.betas) - body.height_m(truth.betas)),
        **_path_errors(joints[:, 0], true_joints[:, 0]),
        "jitter": _acceleration(rooted) / _acceleration(true_rooted),
        "slide": _slide(joints, true_joints),
        **_flips(joints, true_joints, keypoints),
    }


def procrustes(points: np.ndarray, onto: np.ndarray) -> np.ndarray:
    """``points`` moved, turned and scaled onto ``onto`` as nearly as can be (Umeyama 1991)."""
    centre, target = points.mean(0), onto.mean(0)
    u, scale, vt = np.linalg.svd((points - centre).T @ (onto - target))
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    factor = (scale * flip).sum() / np.square(points - centre).sum()
    return factor * (points - centre) @ (u * flip) @ vt + target


def _millimetres(misses: np.ndarray) -> float:
    return float(1000 * np.linalg.norm(misses, axis=-1).mean())


def _path_errors(root: np.ndarray, true_root: np.ndarray) -> Row:
    """Across the picture in millimetres at the true distance; along it as a share."""
    across = root[:, :2] / root[:, 2:] - true_root[:, :2] / true_root[:, 2:]
    nearer = root[:, 2] / root[0, 2] - true_root[:, 2] / true_root[0, 2]
    return {
        "path": _millimetres((across - across[:1]) * true_root[:, 2:]),
        "depth": float(100 * np.abs(nearer).mean()),
    }


def _acceleration(joints: np.ndarray) -> float:
    if len(joints) < 3:
        return float("nan")
    return float(np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).mean())


def _slide(joints: np.ndarray, true_joints: np.ndarray) -> float:
    """How fast ankles move across the picture where the true ones stand; NaN where none stands."""
    ankles = [SMPL_JOINTS.index(f"{side}_ankle") for side in ("left", "right")]
    true_speed = np.linalg.norm(np.diff(true_joints[:, ankles], axis=0), axis=-1) * FPS
    scale = true_joints[:-1, ankles, 2:] / joints[:-1, ankles, 2:]
    speed = np.linalg.norm((np.diff(joints[:, ankles], axis=0) * scale)[..., :2], axis=-1) * FPS
    stands = true_speed < _PLANTED_M_PER_S
    return float(1000 * speed[stands].mean()) if stands.any() else float("nan")


def _flips(joints: np.ndarray, true_joints: np.ndarray, keypoints: Keypoints) -> Row:
    """How many limb bones, over all frames, point away from where they should."""
    bones = [(f"{side}_{a}", f"{side}_{b}") for a, b in _BONES for side in ("left", "right")]
    upper, lower = np.array([[SMPL_JOINTS.index(name) for name in bone] for bone in bones]).T
    seen = keypoints.points[:, [[BODY_POINTS.index(name) for name in bone] for bone in bones], 2]
    along = (joints[:, lower] - joints[:, upper]) * (true_joints[:, lower] - true_joints[:, upper])
    flipped, seen = along.sum(-1) < 0, (seen > 0).all(-1)
    return {
        "flips": float((flipped & seen).sum()),
        "unseen_flips": float((flipped & ~seen).sum()),
    }


def clips(frames: int, seeds: int, body: BodyModel) -> list[tuple[str, BodyTrack]]:
    """Every motion by every body, under a fixed and a moving camera; squatters stand firmly."""
    made = []
    for name in MOTIONS:
        for camera in ("fixed", "moving"):
            for seed in range(seeds):
                track = make_motion(name, frames, seed, FPS, moving_camera=camera == "moving")
                if name == "squat" and camera == "fixed":
                    track = planted(track, body)
                made.append((f"{name}, {camera} camera, {seed}", track))
    return made


def run(frames: int, seeds: int, noise: Noise, evidence: Evidence = "points") -> dict[str, Row]:
    """Fit every clip from some of the evidence: its figures by its name."""
    body = BodyModel.load()
    fitter = KeypointFitter(body, FitSettings())
    rows: dict[str, Row] = {}
    for index, (name, truth) in enumerate(clips(frames, seeds, body)):
        keypoints = observe(truth, body, noise, index)
        if evidence == "2d":
            keypoints = without_landmarks(keypoints)
        if evidence == "silhouette":
            keypoints = replace(keypoints, person_mask=silhouette(truth, body))
        begun = time.perf_counter()
        try:
            fitted = fitter.fit(keypoints, truth.camera, FPS)
        except ItemError:
            rows[name] = {"failed": 1.0}
            continue
        seconds = time.perf_counter() - begun
        rows[name] = measure(truth, fitted, body, keypoints) | {"failed": 0.0, "seconds": seconds}
    return rows


def without_landmarks(keypoints: Keypoints) -> Keypoints:
    """The same points of a detector that gives no 3D."""
    return replace(keypoints, body_3d=np.zeros_like(keypoints.body_3d))


def means(rows: dict[str, Row]) -> Row:
    """The mean of every figure, its largest for ``worst``, its sum for counts."""
    out: Row = {}
    for name in next(iter(rows.values())):
        values = [row[name] for row in rows.values() if not np.isnan(row.get(name, np.nan))]
        how = _TOTALS.get(name, np.mean)
        out[name] = float(how(values)) if values else float("nan")
    return out


def main() -> None:
    """Print a table, or with --json one line of means."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3, help="bodies and draws per motion")
    parser.add_argument("--json", action="store_true", help="one line: the means over all clips")
    parser.add_argument("--peers", action="store_true", help="compare speeds instead")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.peers:
        figures = compare(arguments.frames)
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))
        return
    found = {
        title: run(arguments.frames, arguments.seeds, Noise(), evidence)
        for title, evidence in EVIDENCE.items()
    }
    if arguments.json:
        summary = {
            f"{name}{'' if EVIDENCE[title] == 'points' else '_' + EVIDENCE[title]}": round(value, 3)
            for title, rows in found.items()
            for name, value in means(rows).items()
        }
        print(json.dumps(summary))
        return
    for title, rows in found.items():
        print(f"\n{title:28}" + "".join(f"{name:>13}" for name in means(rows)))
        for name, row in [*rows.items(), ("all clips", means(rows))]:
            print(f"{name:28}" + "".join(f"{value:13.2f}" for value in row.values()))


if __name__ == "__main__":
    main()
