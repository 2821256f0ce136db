"""How well and how fast bodies of known pose are found again from noisy points.

    python -m benchmarks.fitting [--frames 100] [--seeds 3] [--json]

Errors are in millimetres: ``mpjpe`` after the roots are put together, ``pa_mpjpe`` after the best
similarity per frame, ``vertex`` of the skin after the roots are put together, ``height`` of the
body in the T-pose; ``jitter`` is the mean joint acceleration over the truth's; ``seconds`` is one
fit on one thread.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
import torch

from benchmarks.motions import MOTIONS, Noise, make_motion, observe
from dataset.records import BodyTrack
from rendering.body_model import BodyModel
from rendering.fitting import FitSettings, KeypointFitter


def measure(truth: BodyTrack, fitted: BodyTrack, body: BodyModel) -> dict[str, float]:
    """The figures of one clip (see the module)."""
    true_joints, joints = body.joints(truth)[:, :22], body.joints(fitted)[:, :22]
    skin = body.vertices(fitted) - body.joints(fitted)[:, :1]
    true_skin = body.vertices(truth) - body.joints(truth)[:, :1]
    rooted = joints - joints[:, :1] - (true_joints - true_joints[:, :1])
    aligned = np.stack(
        [procrustes(mine, true) - true for mine, true in zip(joints, true_joints, strict=True)]
    )
    jitter = _acceleration(joints - joints[:, :1]) / _acceleration(true_joints - true_joints[:, :1])
    return {
        "mpjpe": _millimetres(rooted),
        "worst_frame": float(1000 * np.linalg.norm(rooted, axis=-1).mean(1).max()),
        "pa_mpjpe": _millimetres(aligned),
        "vertex": _millimetres(skin - true_skin),
        "jitter": float(jitter),
        "height": 1000 * abs(body.height_m(fitted.betas) - body.height_m(truth.betas)),
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


def _acceleration(joints: np.ndarray) -> float:
    if len(joints) < 3:
        return float("nan")
    return float(np.linalg.norm(np.diff(joints, 2, axis=0), axis=-1).mean())


def run(frames: int, seeds: int, noise: Noise) -> list[tuple[str, int, dict[str, float]]]:
    """Fit every motion by every body: motion, seed and figures."""
    body = BodyModel.load()
    fitter = KeypointFitter(body, FitSettings())
    rows: list[tuple[str, int, dict[str, float]]] = []
    for name in MOTIONS:
        for seed in range(seeds):
            truth = make_motion(name, frames, seed)
            keypoints = observe(truth, body, noise, seed)
            begun = time.perf_counter()
            fitted = fitter.fit(keypoints, truth.camera, 30.0)
            seconds = time.perf_counter() - begun
            rows.append((name, seed, measure(truth, fitted, body) | {"seconds": seconds}))
    return rows


def main() -> None:
    """Print a table, or with --json one line of means."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--seeds", type=int, default=3, help="bodies and draws per motion")
    parser.add_argument("--json", action="store_true", help="one line: the means over all clips")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = run(arguments.frames, arguments.seeds, Noise())
    names = list(rows[0][2])
    means = {name: float(np.mean([row[name] for _, _, row in rows])) for name in names}
    if arguments.json:
        print(json.dumps({name: round(value, 3) for name, value in means.items()}))
        return
    print("motion  seed " + "".join(f"{name:>13}" for name in names))
    for motion, seed, row in rows:
        print(f"{motion:7} {seed:>4} " + _cells(row))
    print(f"{'mean':12} " + _cells(means))


def _cells(row: dict[str, float]) -> str:
    return "".join(f"{value:13.2f}" for value in row.values())


if __name__ == "__main__":
    main()
