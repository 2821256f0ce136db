"""One decode for everything, against PySceneDetect's command, ffmpeg's cutting and a sampling pass.

    python -m benchmarks.curation_speed [--media FOLDER] [--seconds 40] [--json]

What both sides deliver for a video: its shots, and every third frame at proxy size (960) as the
scores and the search for people read it. Neither side searches for people or computes scores here;
the pass with all scores of pictures is timed beside it. Ours is one process that decodes once and
writes nothing, as later stages read spans out of the source. The peer is ``scenedetect ...
detect-adaptive split-video``, with ``--copy`` and with its default re-encoding, followed by
``ffmpeg`` handing out the sampled frames. So that nobody is compared with work he does not do, ours
is also timed with the same files cut by ffmpeg afterwards. Wall times, best of three, the start of
processes included; ours also in a worker that runs already, as those of the jobs do. Without an
ffmpeg command only our own side is printed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from skimage import data

from benchmarks.curation_edits import fitted, panned
from benchmarks.curation_films import write_film
from dataset.video import read_frames

REPEATS = 3
GOALS = {"copy": 1.5, "re-encode": 3.0}
_SIZE = (1280, 720)
_FPS = 30.0
_SHOT_SECONDS = 2.5
_FOOTAGE = (
    "pos_juggle.mp4",
    "neg_hands_blocks.mp4",
    "multi_sports2d_demo.mp4",
    "pos_kick_black.mp4",
)
_PICTURES = ("astronaut", "coffee", "chelsea", "rocket")
_SCENEDETECT = (sys.executable, "-m", "scenedetect")
_SPLIT = {"copy": ["split-video", "--quiet", "--copy"], "re-encode": ["split-video", "--quiet"]}
_CUT = {
    "copy": ["-c", "copy"],
    "re-encode": ["-c:v", "libx264", "-preset", "veryfast", "-crf", "22"],
}
_SAMPLING = [
    "-vf",
    "fps=10,scale=960:-2:flags=area",
    "-f",
    "rawvideo",
    "-pix_fmt",
    "rgb24",
    "pipe:1",
]


def make_film(path: Path, media: Path | None, seconds: float) -> None:
    """A 720p film of shots of 2.5 s: real footage, or moves over photos where there is none."""
    shots = _footage(media) if media else _photos()
    frames: list[np.ndarray] = []
    while len(frames) < seconds * _FPS:
        frames += next(shots)
    write_film(path, frames, fps=_FPS, codec="libx264", crf=23)


def _footage(media: Path) -> Iterator[list[np.ndarray]]:
    start = 0.0
    while True:
        for name in _FOOTAGE:
            span = {"start_seconds": start, "end_seconds": start + _SHOT_SECONDS}
            frames = read_frames(media / name, fps=_FPS, max_side=1280, **span)
            yield [fitted(frame, _SIZE) for frame in frames]
        start = 1.3 - start


def _photos() -> Iterator[list[np.ndarray]]:
    steps = np.linspace(0.35, 0.65, round(_SHOT_SECONDS * _FPS))
    path = np.stack([steps, 1 - steps, np.full(len(steps), 0.7)], axis=1)
    while True:
        for name in _PICTURES:
            yield panned(np.ascontiguousarray(getattr(data, name)()), _SIZE, path)


def repeat_film(path: Path, times: int, out: Path) -> None:
    """The same packets again and again: a longer video without encoding one."""
    with av.open(str(path)) as source, av.open(str(out), "w") as target:
        stream = source.streams.video[0]
        copied = target.add_stream_from_template(stream)
        length = stream.duration or 0
        for number in range(times):
            source.seek(0, stream=stream)
            for packet in source.demux(stream):
                if packet.dts is not None and packet.pts is not None:
                    packet.pts += number * length
                    packet.dts += number * length
                    packet.stream = copied
                    target.mux(packet)


def best_wall_seconds(commands: list[list[str]], folder: Path) -> float:
    """The fastest of three runs of commands in a row, in a folder that is emptied each time."""
    best = np.inf
    for _ in range(REPEATS):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        start = time.perf_counter()
        for command in commands:
            with subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.PIPE
            ) as running:
                output, errors = running.communicate()
            if running.returncode:
                raise RuntimeError(f"{' '.join(command)} failed: {errors.decode()[-500:]}")
            del output
        best = min(best, time.perf_counter() - start)
    return best


def our_command(film: Path, *, scores: bool) -> list[str]:
    command = [sys.executable, "-m", "benchmarks.curation_pass", str(film)]
    return command if scores else [*command, "--no-scores"]


def run_pass(film: Path, *, scores: bool = True) -> dict[str, Any]:
    """What a second pass of one process reports of itself."""
    command = [*our_command(film, scores=scores), "--again"]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def cutting(ffmpeg: str, film: Path, folder: Path, how: str) -> list[list[str]]:
    """ffmpeg's commands that write one file for each of our shots."""
    shots = run_pass(film)["shots"]
    return [
        [ffmpeg, *_span(start, end), "-i", str(film), *_CUT[how], str(folder / f"{number:03d}.mp4")]
        for number, (start, end) in enumerate(shots)
    ]


def compare(film: Path, ffmpeg: str, folder: Path) -> dict[str, Any]:
    """Wall seconds of both sides, for both ways of cutting."""
    sampling = [ffmpeg, "-v", "error", "-i", str(film), *_SAMPLING]
    ours = our_command(film, scores=False)
    results: dict[str, Any] = {
        "ours": best_wall_seconds([ours], folder),
        "ours in a running worker": min(
            run_pass(film, scores=False)["seconds"] for _ in range(REPEATS)
        ),
        "ours with all scores of pictures": best_wall_seconds(
            [our_command(film, scores=True)], folder
        ),
        "sampling pass": best_wall_seconds([sampling], folder),
    }
    for how, split in _SPLIT.items():
        peer = [*_SCENEDETECT, "-q", "-i", str(film), "-o", str(folder), "detect-adaptive", *split]
        results[how] = {
            "peer_flags": " ".join(peer[3:]),
            "sampling_flags": " ".join(sampling[1:]),
            "peer": best_wall_seconds([peer, sampling], folder),
            "peer_files": len(list(folder.glob("*.mp4"))),
            "ours_with_files": best_wall_seconds(
                [ours, *cutting(ffmpeg, film, folder, how)], folder
            ),
        }
        results[how]["ratio"] = results[how]["peer"] / results["ours"]
        results[how]["ratio_running"] = results[how]["peer"] / results["ours in a running worker"]
        results[how]["ratio_with_files"] = results[how]["peer"] / results[how]["ours_with_files"]
    return results


def _span(start: int, end: int) -> list[str]:
    return ["-v", "error", "-ss", f"{start / _FPS:.4f}", "-to", f"{end / _FPS:.4f}"]


def stages(film: Path, folder: Path) -> dict[str, Any]:
    """Frames a second and core by stage; peak memory for a video and one ten times as long."""
    longer = folder / "longer.mp4"
    repeat_film(film, 10, longer)
    short, long = run_pass(film), run_pass(longer)
    return {
        "shots": len(short["shots"]),
        "frames": short["frames"],
        "frames_a_second_and_core": {
            name: short["frames"] / max(spent, 1e-3) for name, spent in short["cpu_seconds"].items()
        },
        "peak_mb": {
            f"{one['frames'] / _FPS:.0f} s": [one["peak_mb"], one["decoder_peak_mb"]]
            for one in (short, long)
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--media", type=Path, help="folder of the labelled media")
    parser.add_argument("--seconds", type=float, default=40.0, help="length of the film")
    parser.add_argument("--json", action="store_true", help="one line of JSON and nothing else")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    ffmpeg = shutil.which("ffmpeg")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        film = folder / "film.mp4"
        make_film(film, arguments.media, arguments.seconds)
        result = {"stages": stages(film, folder)}
        if ffmpeg:
            result["comparison"] = compare(film, ffmpeg, folder / "out")
    if arguments.json:
        print(json.dumps(result))
    else:
        _print(result)


def _print(result: dict[str, Any]) -> None:
    own = result["stages"]
    print(f"{own['frames']} frames, {own['shots']} shots; frames a second on one core:")
    for name, rate in own["frames_a_second_and_core"].items():
        print(f"  {name}: {rate:.0f}")
    for length, (pass_mb, decoder_mb) in own["peak_mb"].items():
        print(f"  peak memory, {length}: {pass_mb:.0f} MB, its decoder {decoder_mb:.0f} MB")
    if "comparison" not in result:
        print("no ffmpeg command here: PySceneDetect's command and ffmpeg were not compared with")
        return
    sides = result["comparison"]
    for name in (
        "ours",
        "ours in a running worker",
        "ours with all scores of pictures",
        "sampling pass",
    ):
        print(f"{name}: {sides[name]:.2f} s")
    for how, goal in GOALS.items():
        one = sides[how]
        print(f"{how}: scenedetect {one['peer_flags']}; ffmpeg {one['sampling_flags']}")
        print(
            f"  {one['peer']:.2f} s, {one['peer_files']} files: {one['ratio']:.2f}x ours (goal "
            f"{goal}x), {one['ratio_running']:.2f}x a running worker; ours with "
            f"the same files {one['ours_with_files']:.2f} s, {one['ratio_with_files']:.2f}x"
        )


if __name__ == "__main__":
    main()
