"""Files of a dataset, on a local disk or in an object store.

On a disk a file appears by rename and is synced; in an object store it is put whole. Readers of
Parquet fetch ranges from both. What has to be a file on a disk, as video has for its decoder, is
lent as one (``local_file``).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dataset.durable import sync
from dataset.errors import ItemError
from dataset.object_store import (
    SCHEME,
    FileStatus,
    ObjectPath,
    ObjectReader,
    delete_object,
    get_object,
    list_folder,
    list_objects,
    object_status,
    put_object,
)
from dataset.scratch import local_copy

Location = Path | ObjectPath
"""A dataset root, or a file or folder of it: ``root / "videos"`` is one again."""


def location(text: str | Path) -> Location:
    """``s3://bucket/prefix``, or else a path of this machine.

    Raises:
        ValueError: Another scheme, or an address that holds credentials.
    """
    if isinstance(text, Path):
        return text
    if text.startswith(SCHEME):
        return ObjectPath.parse(text)
    if "://" in text:
        scheme = text.partition("://")[0]
        raise ValueError(f"a dataset is a folder or s3://bucket/prefix, got one of {scheme}://")
    return Path(text)


def local_root(root: Location, what: str, remedy: str) -> Path:
    """The root where it is a folder of this machine; ``ValueError`` saying what needs one."""
    if isinstance(root, Path):
        return root
    raise ValueError(f"{what} needs a folder of this machine, the dataset is {root}: {remedy}")


def parquet_source(path: Location) -> Path | ObjectReader:
    """What pyarrow reads a file from, range by range; ``FileNotFoundError``."""
    return path if isinstance(path, Path) else ObjectReader(path)


def file_status(path: Location) -> FileStatus:
    """Size and time of a file; ``FileNotFoundError`` where there is none."""
    if isinstance(path, Path):
        status = path.stat()
        modified_ms = status.st_mtime_ns // 1_000_000
        return FileStatus(path=path, size_bytes=status.st_size, modified_ms=modified_ms)
    return object_status(path)


def is_file(path: Location) -> bool:
    """Whether there is such a file."""
    if isinstance(path, Path):
        return path.is_file()
    try:
        object_status(path)
        return True
    except FileNotFoundError:
        return False


def files_in(folder: Location) -> list[FileStatus]:
    """The files of a folder, by name, hidden ones too; none where there is no folder."""
    if isinstance(folder, Path):
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        return list(_still_there(path for path in found if path.is_file()))
    return list_folder(folder)


def files_below(folder: Location) -> Iterator[FileStatus]:
    """The files of a folder and of the folders in it."""
    if isinstance(folder, Path):
        yield from _still_there(path for path in sorted(folder.rglob("*")) if path.is_file())
    else:
        yield from list_objects(folder)


def read_file(path: Location) -> bytes:
    """A file's content; ``FileNotFoundError``."""
    return path.read_bytes() if isinstance(path, Path) else get_object(path)


def delete_file(path: Location) -> None:
    """Remove a file, if it is there."""
    if isinstance(path, Path):
        path.unlink(missing_ok=True)
    else:
        delete_object(path)


def store_file(local: Path, final: Location) -> None:
    """Move a finished file of this machine to its place, whole and durable.

    Args:
        local: The file; gone afterwards. On another disk than ``final`` it is copied first.
        final: Its place; what is there is replaced.
    """
    if isinstance(final, ObjectPath):
        put_object(final, local)
        local.unlink()
        return
    final.parent.mkdir(parents=True, exist_ok=True)
    if local.stat().st_dev != final.parent.stat().st_dev:
        beside = final.with_name(f"{final.name}.{os.getpid()}.tmp")
        local = Path(shutil.move(local, beside))
    sync(local)
    local.replace(final)
    sync(final.parent)
    sync(final.parent.parent)


@contextmanager
def local_file(path: Location) -> Iterator[Path]:
    """A file of a dataset as one of this machine, to be read within the block.

    An object is fetched once, and kept for a while within bounds (``dataset.scratch``).

    Raises:
        ItemError: ``probe.missing``: there is no such object, as readers say it of a path.
    """
    if isinstance(path, Path):
        yield path
        return
    if not is_file(path):
        raise ItemError("probe.missing", f"there is no object {path}")
    with local_copy(path) as copy:
        yield copy


def _still_there(paths: Iterator[Path]) -> Iterator[FileStatus]:
    for path in paths:
        try:
            yield file_status(path)
        except FileNotFoundError:  # removed since the folder was read
            continue
