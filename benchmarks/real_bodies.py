"""How well bodies fit real people: every clip of a folder of videos, from the file to the maps.

    python -m benchmarks.real_bodies FOLDER [--strips OUT] [--only NAME ...] [--json]

Each video is curated, its selected clips are fitted and drawn with the default settings. Prints a
Markdown table: the median reprojection error in pixels (longer side at most 768) and as a share of
the person's height, the IoU of the body and the detector's mask of the person, the acceleration of
the joints (``rendering.fit_quality``), whether the render job keeps the clip and else why, and
processor seconds from frames to streams. ``--strips`` writes a strip of six overlays for each clip.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from curation.curate import CurateStage
from curation.decisions import decide
from curation.people.settings import PeopleSettings
from curation.select import SelectSettings
from curation.settings import CurateSettings
from dataset.errors import ItemError
from dataset.streams import decode_stream
from dataset.video import probe_video
from pipeline.report_pictures import person_view
from rendering.body_model import BodyModel
from rendering.fit_quality import check_acceleration, check_overlap, check_reprojection
from rendering.overlay import overlay_body
from rendering.render import RenderStage, read_track
from rendering.settings import FitLimits, RenderSettings

VIDEOS = (".mp4", ".mkv", ".gif", ".webm", ".mov")
ANY_FIT = FitLimits(max_reprojection_share=1e6, max_acceleration=1e6, min_silhouette_iou=0)
STRIP_FRAMES = 6
Row = dict[str, Any]


def measure(folder: Path, only: list[str], strips: Path | None) -> Iterator[Row]:
    """The figures of each candidate clip; those that are not fitted say why."""
    people = PeopleSettings()
    curate = CurateStage(CurateSettings(), people, folder)
    render = RenderStage(RenderSettings(limits=ANY_FIT), people, folder)
    curate.load()
    render.load()
    body = BodyModel.load()
    for path in sorted(folder.iterdir()):
        if path.suffix not in VIDEOS or (only and path.stem not in only):
            continue
        probe = probe_video(path)
        video = {"source_id": path.stem, "path": path.name, "width": probe.width}
        try:
            clips = list(curate.process({**video, "height": probe.height}))
        except ItemError as error:
            yield {"clip": path.stem, "verdict": error.kind}
            continue
        for clip in clips:
            yield _of_clip(clip, render, body, strips)


def _of_clip(clip: Row, render: RenderStage, body: BodyModel, strips: Path | None) -> Row:
    figures: Row = {"clip": clip["clip_id"], "frames": clip["frames"]}
    selected, reason = decide(clip, SelectSettings())
    if not selected:
        return {**figures, "verdict": reason}
    begun = time.process_time()
    try:
        (drawn,) = render.process(clip)
    except ItemError as error:
        return {**figures, "verdict": error.kind}
    boxes = np.asarray(drawn["boxes"]).reshape(-1, 4)
    error = float(np.nanmedian(drawn["reprojection_error_px"]))
    if strips:
        write_strip(strips / f"{clip['clip_id']}.jpg", drawn, body)
    return {
        **figures,
        "reprojection_px": error,
        "share": error / float(np.nanmedian(boxes[:, 3] - boxes[:, 1])),
        "iou": float(drawn["silhouette_iou"]),
        "acceleration": float(drawn["joint_acceleration"]),
        "verdict": verdict(drawn, boxes),
        "seconds": time.process_time() - begun,
    }


def verdict(drawn: Row, boxes: np.ndarray) -> str:
    """What the render job's limits say of a fitted clip."""
    limits = FitLimits()
    try:
        check_reprojection(read_track(drawn), boxes, limits)
        check_acceleration(drawn["joint_acceleration"], limits)
        check_overlap(drawn["silhouette_iou"], limits)
    except ItemError as error:
        return error.kind
    return "kept"


def write_strip(path: Path, drawn: Row, body: BodyModel) -> None:
    """Six frames of a clip with the body shaded over them, cut to the person."""
    track = read_track(drawn)
    frames = np.linspace(0, track.frames - 1, STRIP_FRAMES).astype(int).tolist()
    pictures = decode_stream(drawn["rgb"], frames)
    vertices = body.vertices(track)
    over = [
        overlay_body(picture, vertices[frame], body.mesh.triangles, track.camera)
        for picture, frame in zip(pictures, frames, strict=True)
    ]
    strip = np.concatenate(list(person_view(np.stack(over), drawn)), 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), cv2.cvtColor(strip, cv2.COLOR_RGB2BGR))


def main() -> None:
    """Print the table, a line as soon as it is known."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--strips", type=Path, help="folder for strips of overlays")
    parser.add_argument("--only", nargs="+", default=[], help="names of videos, without suffix")
    parser.add_argument("--json", action="store_true", help="a line of JSON a clip instead")
    arguments = parser.parse_args()
    if not arguments.folder.is_dir():
        parser.error(f"expected a folder of videos, got {arguments.folder}")
    if not arguments.json:
        print("| clip | frames | reprojection | IoU | acceleration | verdict | seconds |")
        print("|---|---|---|---|---|---|---|")
    for row in measure(arguments.folder, arguments.only, arguments.strips):
        print(json.dumps(row) if arguments.json else _line(row), flush=True)


def _line(row: Row) -> str:
    cells = [row["clip"], str(row.get("frames", ""))]
    if "iou" in row:
        cells.append(f"{row['reprojection_px']:.1f} px ({100 * row['share']:.1f} %)")
        cells += [f"{row['iou']:.2f}", f"{row['acceleration']:.0f} m/s²"]
        cells += [row["verdict"], f"{row['seconds']:.0f}"]
    else:
        cells += ["", "", "", row["verdict"], ""]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
