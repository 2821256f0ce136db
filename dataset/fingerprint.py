"""The recipe fingerprint: one short name for everything that decides what a stage makes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from dataset.settings import Settings

_DIGITS = 16


def fingerprint(
    stage: str,
    version: int,
    settings: Settings | Mapping[str, object],
    files: Iterable[Path] = (),
) -> str:
    """16 hexadecimal digits that change when the stage, its settings or its files do.

    The order of settings and of files does not matter, nor do the files' names: a model that is
    moved is the same model.

    Raises:
        ValueError: A setting that JSON cannot hold, or a file that is not there.
    """
    values = settings.model_dump(mode="json") if isinstance(settings, Settings) else settings
    try:
        text = json.dumps(
            {"stage": stage, "version": version, "settings": values},
            sort_keys=True,
            separators=(",", ":"),
            allow_nan=False,
        )
    except TypeError as error:
        raise ValueError(f"settings of {stage} must be plain values: {error}") from error
    digest = hashlib.sha256(text.encode())
    for content in sorted(file_sha256(Path(path)) for path in files):
        digest.update(content.encode())
    return digest.hexdigest()[:_DIGITS]


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal; ``ValueError`` when it is not a file."""
    if not path.is_file():
        raise ValueError(f"{path} is not a file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
