"""Openly licensed models and sample videos that ship inside published wheels.

The wheels are never installed: they are taken as data from the package index that pip is set up
for, checked against the digest written here, and only the members listed below are copied out.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_DOWNLOAD_SECONDS = 900


class AssetError(RuntimeError):
    """An asset could not be taken: no index, no pip, or a file that is not the one expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wheel:
    """A published wheel that carries assets; ``tags`` are the pip options that name the file."""

    package: str
    version: str
    filename: str
    sha256: str
    licence: str
    licence_member: str
    homepage: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """One file of a wheel; ``name`` is what the project calls it, ``member`` its path inside."""

    name: str
    wheel: Wheel
    member: str

    @property
    def filename(self) -> str:
        return self.name.replace("/", "-") + Path(self.member).suffix


_MEDIAPIPE = Wheel(
    package="mediapipe",
    version="0.10.21",
    filename="mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl",
    sha256="05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    licence="Apache-2.0",
    licence_member="mediapipe-0.10.21.dist-info/LICENSE",
    homepage="https://github.com/google-ai-edge/mediapipe",
    tags=("--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"),
)
_POSE2SIM = Wheel(
    package="pose2sim",
    version="0.10.49",
    filename="pose2sim-0.10.49-py3-none-any.whl",
    sha256="403e0dc4065898ba6a595e72a8970950310979253d60e24c2e00b16b36bf21e1",
    licence="BSD-3-Clause",
    licence_member="pose2sim-0.10.49.dist-info/licenses/LICENSE",
    homepage="https://github.com/perfanalytics/pose2sim",
)
_SPORTS2D = Wheel(
    package="sports2d",
    version="0.8.34",
    filename="sports2d-0.8.34-py3-none-any.whl",
    sha256="733b6db70742636ae9c35d870c22bd416582f579abd5881bee93a14bb0e2655d",
    licence="BSD-3-Clause",
    licence_member="sports2d-0.8.34.dist-info/licenses/LICENSE",
    homepage="https://github.com/davidpagnon/Sports2D",
)
_MODELS = {
    "pose_detection": "pose_detection/pose_detection",
    "pose_landmark_full": "pose_landmark/pose_landmark_full",
    "hand_landmark_full": "hand_landmark/hand_landmark_full",
    "hand_landmark_lite": "hand_landmark/hand_landmark_lite",
    "hand_recrop": "holistic_landmark/hand_recrop",
    "palm_detection": "palm_detection/palm_detection_full",
    "face_landmark": "face_landmark/face_landmark",
    "face_detection": "face_detection/face_detection_short_range",
    "selfie_segmentation": "selfie_segmentation/selfie_segmentation",
}
_CAMERAS = ("cam01", "cam02", "cam03", "cam04")

ASSETS: dict[str, Asset] = {
    asset.name: asset
    for asset in (
        *(
            Asset(
                name=f"mediapipe/{name}",
                wheel=_MEDIAPIPE,
                member=f"mediapipe/modules/{member}.tflite",
            )
            for name, member in _MODELS.items()
        ),
        *(
            Asset(
                name=f"video/{name}_{camera}",
                wheel=_POSE2SIM,
                member=f"Pose2Sim/{folder}/videos/{camera}.mp4",
            )
            for name, folder in (
                ("treadmill", "Demo_SinglePerson"),
                ("two_people", "Demo_MultiPerson"),
            )
            for camera in _CAMERAS
        ),
        Asset(name="video/jumping_jacks", wheel=_SPORTS2D, member="Sports2D/Demo/demo.mp4"),
    )
}


def cache_folder() -> Path:
    """The user's cache: ``$CHAMP_CACHE``, else ``~/.cache/champ``."""
    return Path(os.environ.get("CHAMP_CACHE") or Path.home() / ".cache" / "champ")


def asset_path(name: str) -> Path:
    """Where the named asset lies on this machine; taken from the package index at first use.

    Beside it lie the wheel's licence and ``SOURCE.json``. Safe to call from several processes.

    Raises:
        ValueError: No asset of that name.
        AssetError: The wheel cannot be taken, or is not the one whose digest is recorded here.
    """
    target = _place(name)
    if not target.is_file():
        folder = target.parent
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / ".lock"):
            if not target.is_file():  # another process may have brought it meanwhile
                _take(ASSETS[name].wheel, folder)
    return target


def is_cached(name: str) -> bool:
    """Whether the named asset lies in the cache already."""
    return _place(name).is_file()


def _place(name: str) -> Path:
    if name not in ASSETS:
        raise ValueError(f"unknown asset {name!r}; expected one of {', '.join(sorted(ASSETS))}")
    asset = ASSETS[name]
    wheel = f"{asset.wheel.package}-{asset.wheel.version}"
    return cache_folder() / "assets" / wheel / asset.filename


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)  # released by the kernel, whatever happens to us
        yield


def _take(wheel: Wheel, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".take-") as scratch:
        brought = cache_folder() / "wheels" / wheel.filename
        path = brought if brought.is_file() else _download(wheel, Path(scratch))
        digest = _sha256(path)
        if digest != wheel.sha256:
            raise AssetError(
                f"{path} is not the published {wheel.filename}: expected sha256 {wheel.sha256}, "
                f"got {digest}; nothing of it was used"
            )
        _extract(path, wheel, folder, Path(scratch))


def _download(wheel: Wheel, scratch: Path) -> Path:
    requirement = f"{wheel.package}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:"]
    command += ["--disable-pip-version-check", "--quiet", "--retries", "2", *wheel.tags]
    remedy = (
        f"With a connection, try again; without one, put {wheel.filename} into "
        f"{cache_folder() / 'wheels'}"
    )
    try:
        result = subprocess.run(
            [*command, "--dest", str(scratch), requirement],
            capture_output=True,
            text=True,
            timeout=_DOWNLOAD_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise AssetError(
            f"{requirement} did not arrive in {_DOWNLOAD_SECONDS} s. {remedy}"
        ) from error
    path = scratch / wheel.filename
    if result.returncode != 0 or not path.is_file():
        said = result.stderr.strip().splitlines()[-1:] or [f"pip left no {wheel.filename}"]
        raise AssetError(
            f"could not take {requirement} from the package index: {said[0]}. {remedy}"
        )
    return path


def _sha256(path: Path) -> str:
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def _extract(path: Path, wheel: Wheel, folder: Path, scratch: Path) -> None:
    """Copies the listed members, and no path that the archive chooses, each by one rename."""
    members = {asset.filename: asset.member for asset in ASSETS.values() if asset.wheel is wheel}
    source = {
        "package": wheel.package,
        "version": wheel.version,
        "sha256": wheel.sha256,
        "licence": wheel.licence,
        "homepage": wheel.homepage,
        "members": members,
    }
    note = scratch / "SOURCE.json"
    note.write_text(json.dumps(source, indent=2) + "\n")
    note.replace(folder / note.name)
    with zipfile.ZipFile(path) as archive:
        # The licence first: no asset ever lies there without it.
        for filename, member in {"LICENSE.txt": wheel.licence_member, **members}.items():
            part = scratch / filename
            with archive.open(member) as stream, part.open("wb") as out:
                shutil.copyfileobj(stream, out)
                out.flush()
                os.fsync(out.fileno())
            part.replace(folder / filename)
