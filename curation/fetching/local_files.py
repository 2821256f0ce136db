"""Source files on this machine's disks."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from dataset.errors import ItemError

_CHUNK_BYTES = 1 << 20


def copy_local(source: Path, target: Path, *, max_bytes: int, allow_paths: Sequence[str]) -> str:
    """Copy a local file and return its SHA-256, both in one pass.

    Raises:
        ItemError: ``fetch.path_not_allowed`` (after links are followed), ``fetch.missing_file``,
            ``fetch.too_large``.
    """
    source = _real(source)
    if not any(source.is_relative_to(Path(p).resolve()) for p in _folders(allow_paths)):
        message = f"{source} is in none of fetch.allow_paths"
        raise ItemError("fetch.path_not_allowed", message, status="rejected")
    return write_hashed(_chunks(source), target, max_bytes)


def _real(source: Path) -> Path:
    try:
        return source.resolve()
    except (OSError, RuntimeError, ValueError) as error:  # too long, a loop of links, a NUL
        raise _missing(source, error) from error


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        if not source.is_file():
            raise _missing(source, "there is no such file")
        with source.open("rb") as reading:
            while chunk := reading.read(_CHUNK_BYTES):
                yield chunk
    except OSError as error:
        raise _missing(source, error) from error


def _missing(source: Path, why: object) -> ItemError:
    return ItemError("fetch.missing_file", f"{str(source)[:200]!r} cannot be read: {why!s:.200}")


def write_hashed(chunks: Iterable[bytes], target: Path, max_bytes: int) -> str:
    """Write chunks to a file and return the SHA-256; ``fetch.too_large`` above ``max_bytes``."""
    digest, size = hashlib.sha256(), 0
    with target.open("wb") as writing:
        for chunk in chunks:
            size += len(chunk)
            if size > max_bytes:
                message = f"over the limit of {max_bytes} bytes"
                raise ItemError("fetch.too_large", message, status="rejected")
            digest.update(chunk)
            writing.write(chunk)
    return digest.hexdigest()


def _folders(allow_paths: Sequence[str]) -> list[str]:
    return [place for place in allow_paths if "://" not in place]
