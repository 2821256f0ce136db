"""Which code and libraries did the work: what every outcome carries for audits."""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import platform
import subprocess
from pathlib import Path

PROJECT = "champ-pipeline"
LIBRARIES = (
    "av",
    "diffusers",
    "numpy",
    "opencv-python-headless",
    "pyarrow",
    "ray",
    "torch",
    "transformers",
    "yt-dlp",
)
COMMIT_VARIABLE = "CHAMP_COMMIT"
"""Set where an image is built: an installed wheel does not know the commit it came from."""


@functools.cache
def code_versions() -> str:
    """Versions of the project, its commit where that is known, Python and the libraries, as JSON.

    Computed once a process. A library that is not installed is left out.
    """
    found = {"champ": _installed(PROJECT), "commit": _commit(), "python": platform.python_version()}
    found |= {name: _installed(name) for name in LIBRARIES}
    return json.dumps({name: version for name, version in found.items() if version})


def _installed(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    if COMMIT_VARIABLE in os.environ:
        return os.environ[COMMIT_VARIABLE]
    repository = Path(__file__).resolve().parents[1]
    if not (repository / ".git").exists():
        return None
    command = ["git", "-C", str(repository), "rev-parse", "--short=12", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):  # no git here, or not our folder: not known
        return None
    return done.stdout.strip()
