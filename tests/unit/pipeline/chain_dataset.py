"""A small dataset with rows in every table, as if all jobs had run, written table by table.

Sources: ``walk``; ``walk-2``, whose name begins alike; ``run`` and ``twin``, which are one video.
Each has a clip of three frames, but ``twin``. ``own`` shows walk's clip moved by itself, ``mixed``
run's person moved by walk, ``other`` has nothing of walk.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from dataset.object_store import ObjectPath
from dataset.outcomes import Outcome, append_outcomes
from dataset.records import STREAM_NAMES
from dataset.storage import Location, store_file
from dataset.streams import encode_stream
from dataset.tables import commit, write_shard
from rendering.render import track_columns
from tests.unit.rendering.lint_clips import FRAMES, SIZE, bowing_track, clean_maps

CONTENTS = {"walk": b"\x01\x02" * 9999, "walk-2": b"\x03" * 9999, "run": b"\x04\x05" * 9999}
CONTENTS["twin"] = CONTENTS["run"]
CLIPS = {name: f"{name}-000000-0003" for name in ("walk", "walk-2", "run")}
ANIMATIONS = {
    "own": (f"{CLIPS['walk']}#0", CLIPS["walk"]),
    "mixed": (f"{CLIPS['run']}#0", CLIPS["walk"]),
    "other": (f"{CLIPS['run']}#0", CLIPS["run"]),
}
FPS = 30.0
_Root = TypeVar("_Root", Path, ObjectPath)
RECIPE = "recipe-of-all"


def sha256(source: str) -> str:
    return hashlib.sha256(CONTENTS[source]).hexdigest()


def add(root: Location, table: str, rows: Iterable[Mapping[str, object]], *, name: str) -> Location:
    """Commit rows as one shard, under a digest of the name, as jobs do; its file."""
    rows = [{"recipe": RECIPE, **row} for row in rows]
    digest = hashlib.sha256(f"{table} {name}".encode()).hexdigest()[:16]
    shard = write_shard(root, table, rows, name=digest)
    commit(root, table, [shard], app=digest)
    return root / table / shard.path


def write_chain(root: _Root) -> _Root:
    """The dataset, with the files that its rows name."""
    add(root, "videos", [_video(root, name) for name in CONTENTS], name="all")
    for name, clip_id in CLIPS.items():
        place = {"clip_id": clip_id, "source_id": name}
        add(root, "clips", [place | _clip(name)], name=name)
        decided = {"selected": name != "walk-2", "curate_recipe": RECIPE}
        decided["reason"] = "" if decided["selected"] else "select.still"
        add(root, "selection", [place | decided], name=name)
    _write_rendered(root)
    add(root, "animations", [_animation(root, name) for name in ANIMATIONS], name="all")
    shown = {"animation_recipe": RECIPE, "method": "animation", "psnr": 21.5}
    scored = [{"animation_id": name} | shown for name in ANIMATIONS]
    add(root, "metrics", scored, name="all")
    append_outcomes(root, list(_outcomes()))
    return root


def stream_frames() -> dict[str, np.ndarray]:
    """What every stream of every clip shows, by name: a body that stands, bows and waves."""
    rows, columns = np.mgrid[:SIZE, :SIZE] * 255 // SIZE
    picture = np.stack([rows, columns, (rows + columns) // 2], -1).astype(np.uint8)
    return {"rgb": np.stack([np.roll(picture, 9 * n, 1) for n in range(FRAMES)]), **clean_maps()}


def _write_rendered(root: Location) -> None:
    frames = stream_frames()
    streams = {name: encode_stream(frames[name], name=name, fps=FPS) for name in STREAM_NAMES}
    track = bowing_track((0, 0, 0))
    for name in ("walk", "run"):
        place = {"clip_id": CLIPS[name], "source_id": name, "silhouette_iou": 0.8}
        size = {"fps": FPS, "frames": FRAMES, "width": SIZE, "height": SIZE}
        boxes = np.tile([90.0, 20.0, 290.0, 370.0], FRAMES).tolist()
        row = place | size | track_columns(track) | streams | {"boxes": boxes}
        add(root, "guidance", [row], name=name)
        latents = {"latents": b"\0" * 96, "latents_shape": [3, 4, 2, 2], "frames": FRAMES}
        latents |= {"size": 16, "crop": [0.0, 0.0, 16.0]}
        add(
            root,
            "latents",
            [{"clip_id": CLIPS[name], "guidance_recipe": RECIPE} | latents],
            name=name,
        )


def _video(root: Location, name: str) -> dict[str, object]:
    path = Path("files") / sha256(name)[:2] / f"{sha256(name)}.mp4"
    _put(root / path.as_posix(), CONTENTS[name])
    return {
        "source_id": name, "path": path.as_posix(), "content_sha256": sha256(name),
        "size_bytes": len(CONTENTS[name]), "url": f"https://videos.example/{name}",
        "platform": "web", "licence": "CC-BY-4.0", "consent": "given", "width": SIZE,
        "height": SIZE, "fps": FPS, "frames": FRAMES, "duration_seconds": 0.1, "codec": "h264",
    }  # fmt: skip


def _put(place: Location, content: bytes) -> None:
    handle, name = tempfile.mkstemp()
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    store_file(Path(name), place)


def _clip(name: str) -> dict[str, object]:
    return {
        "video_path": f"files/{sha256(name)[:2]}/{sha256(name)}.mp4", "track": 0,
        "start_seconds": 0.0, "end_seconds": 2.0, "fps": FPS, "frames": FRAMES, "width": SIZE,
        "height": SIZE, "boxes": [90.0, 20.0, 290.0, 370.0] * FRAMES, "filled_frames": [],
        "persons_mean": 1.0, "persons_max": 1, "second_person_share": 0.0, "track_coverage": 1.0,
        "person_share": 0.2, "keypoint_confidence": 0.9, "full_body_share": 1.0,
        "sharpness": 300.0, "motion": 0.0 if name == "walk-2" else 0.4,
    }  # fmt: skip


def _animation(root: Location, name: str) -> dict[str, object]:
    reference, motion = ANIMATIONS[name]
    folder = f"outputs/{RECIPE}"
    for suffix in ("mp4", "frames.mp4"):
        _put(root / folder / f"{name}.{suffix}", b"drawn frames")
    return {
        "animation_id": name, "reference": reference, "motion": motion, "start_frame": 0,
        "frames": FRAMES, "frame_order": "as_is", "size": 16, "seed": 1, "checkpoint": "weights",
        "video_path": f"{folder}/{name}.mp4", "frames_path": f"{folder}/{name}.frames.mp4",
        "seconds": 1.5, "notes": "",
    }  # fmt: skip


def _outcomes() -> Iterable[Outcome]:
    for job, keys in (
        ("fetch", list(CONTENTS)),
        ("curate", ["walk", "walk-2", "run"]),
        ("select", list(CLIPS.values())),
        ("render", [CLIPS["walk"], CLIPS["run"]]),
        ("encode", [CLIPS["walk"], CLIPS["run"]]),
        ("animate", list(ANIMATIONS)),
        ("evaluate", list(ANIMATIONS)),
    ):
        for key in keys:
            versions = '{"champ": "0.1.0"}'
            yield Outcome(
                key=key, job=job, recipe=RECIPE, status="ok", seconds=2.0, versions=versions
            )
