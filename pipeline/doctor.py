"""`champ doctor`: what this machine has, and what to do about what is missing."""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from dataset.assets import ASSETS, cache_folder, is_cached
from rendering.body_model import BodyModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked for: ``state`` is ok, missing (something will not run) or optional."""

    what: str
    state: str
    found: str
    remedy: str = ""


def print_findings() -> bool:
    """Look at everything, print a table, and say whether nothing needed is missing."""
    table = Table("what", "", "found", "what to do", title="champ doctor")
    fine = True
    for finding in find_all():
        mark = {"ok": "[green]ok[/]", "missing": "[red]missing[/]", "optional": "[yellow]-[/]"}
        table.add_row(finding.what, mark[finding.state], finding.found, finding.remedy)
        fine = fine and finding.state != "missing"
    Console().print(table)
    return fine


def find_all() -> Iterator[Finding]:
    """Every finding, in the order a newcomer would ask."""
    yield _python()
    yield _gpu()
    yield from _gl()
    yield _ffmpeg()
    yield _compiler()
    yield _body()
    yield _weights()
    yield _assets()
    yield _version("ray", "jobs run in parallel; `--in-process` works without")
    yield _version("deepspeed", "training needs it")


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    right = (3, 11) <= sys.version_info[:2] < (3, 13)
    remedy = "" if right else "use Python 3.11 or 3.12"
    return Finding(what="Python", state="ok" if right else "missing", found=version, remedy=remedy)


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(
            torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())
        )
        return Finding(what="GPU", state="ok", found=names)
    return Finding(
        what="GPU",
        state="optional",
        found=f"none that torch {torch.__version__} sees",
        remedy="the tiny configuration runs on the CPU; Champ proper needs a CUDA GPU",
    )


def _gl() -> Iterator[Finding]:
    """Each GL platform in a process of its own: a platform is chosen once a process."""
    program = (
        "import sys; from rendering.rasterizer import open_rasterizer; "
        "open_rasterizer(sys.argv[1]).close()"
    )
    for backend, package in (
        ("egl", "libegl1 libegl-mesa0 libgl1-mesa-dri"),
        ("osmesa", "libosmesa6"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", program, backend],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode == 0:
            yield Finding(what=f"GL through {backend}", state="ok", found="draws headlessly")
            continue
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1][:100]
        remedy = f"apt-get install {package}; until then the CPU rasteriser draws the same maps"
        yield Finding(what=f"GL through {backend}", state="optional", found=reason, remedy=remedy)


def _ffmpeg() -> Finding:
    import av

    names = ("libx264", "libx264rgb")
    lacking = [name for name in names if name not in av.codecs_available]
    found = (
        f"PyAV {av.__version__}, libavcodec {'.'.join(map(str, av.library_versions['libavcodec']))}"
    )
    if lacking:
        remedy = "reinstall the `av` wheel from the package index; it brings FFmpeg with x264"
        return Finding(what="FFmpeg", state="missing", found=f"no {lacking}", remedy=remedy)
    return Finding(what="FFmpeg", state="ok", found=found)


def _compiler() -> Finding:
    path = shutil.which("g++")
    if path:
        return Finding(what="C++ compiler", state="ok", found=path)
    remedy = "apt-get install g++, only for DeepSpeed operators other than the default ones"
    return Finding(what="C++ compiler", state="optional", found="no g++", remedy=remedy)


def _weights() -> Finding:
    return Finding(
        what="Champ's weights",
        state="optional",
        found="none ship; the tiny configuration trains its own",
        remedy="SD 1.5's VAE and image encoder: --set models.vae=... models.image_encoder=...; "
        "the network: --set models.start_from=... or --checkpoint",
    )


def _body() -> Finding:
    body = BodyModel.load(None)
    count = len(body.mesh.vertex_parts)
    return Finding(
        what="Body model",
        state="ok",
        found=f"the free body that ships, {count} vertices",
        remedy="your own SMPL file: --set render.body_model=/path/to/SMPL_NEUTRAL.pkl",
    )


def _assets() -> Finding:
    absent = [name for name in ASSETS if not is_cached(name)]
    if not absent:
        return Finding(what="Pose models, sample videos", state="ok", found="all in the cache")
    return Finding(
        what="Pose models, sample videos",
        state="optional",
        found=f"{len(absent)} of {len(ASSETS)} not in {cache_folder()} yet",
        remedy="taken from the package index with their first use",
    )


def _version(package: str, use: str) -> Finding:
    try:
        return Finding(what=package, state="ok", found=importlib.metadata.version(package))
    except importlib.metadata.PackageNotFoundError:
        remedy = f"pip install {package}: {use}"
        return Finding(what=package, state="missing", found="not installed", remedy=remedy)
