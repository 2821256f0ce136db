"""Places in an object store: what a dataset needs of S3, and of what speaks its protocol.

Only this file knows the client library. Where, and who one is, come from the usual environment
variables (``AWS_ENDPOINT_URL``, ``AWS_REGION``, ``AWS_ACCESS_KEY_ID``, ...) or from the machine's
role; neither is ever part of a path, a table or a message. An object appears whole or not at all,
and an object that was put is there for everybody: there is nothing to rename or to sync.
"""

from __future__ import annotations

import io
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

SCHEME = "s3://"
StoreError = BaseError
"""The store cannot be reached, or refuses. (What is not there is ``FileNotFoundError``.)"""


@dataclass(frozen=True, slots=True, order=True)
class ObjectPath:
    """An object, or all that begins like it: ``s3://bucket/key``."""

    bucket: str
    key: str  # parts joined by "/", none of them empty, "." or ".."

    @classmethod
    def parse(cls, uri: str) -> ObjectPath:
        """``ValueError`` where it is no ``s3://bucket/key``, or holds a query or credentials."""
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        if not uri.startswith(SCHEME) or not bucket or set(bucket) & set("@: ") or "?" in uri:
            raise ValueError(f"an object store's dataset is s3://bucket/prefix, got {uri!r}")
        return cls(bucket, "") / key

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.key}".rstrip("/")

    def __truediv__(self, below: str | PurePosixPath) -> ObjectPath:
        parts = [part for part in [*self.key.split("/"), *str(below).split("/")] if part]
        if {".", ".."} & set(parts):
            raise ValueError(f"a key of an object store has no '.' or '..', got {str(below)!r}")
        return ObjectPath(self.bucket, "/".join(parts))

    @property
    def name(self) -> str:
        """The last part of the key."""
        return self.key.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The name's ending with its dot, or nothing."""
        return PurePosixPath(self.name).suffix

    def relative_to(self, folder: ObjectPath) -> PurePosixPath:
        """The path below a folder; ``ValueError`` where this is not below it."""
        if folder.bucket != self.bucket:
            raise ValueError(f"{self} is not below {folder}")
        return PurePosixPath(self.key).relative_to(folder.key)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileStatus:
    """A file of a dataset, how large it is and when it was written."""

    path: Path | ObjectPath
    size_bytes: int
    modified_ms: int
    version: str = ""  # of an object: another content has another one

    @property
    def age_seconds(self) -> float:
        """By this machine's clock."""
        return time.time() - self.modified_ms / 1000


def client_options() -> dict[str, str]:
    """What the environment leaves open: plain http, for an endpoint that was named with it."""
    return {"allow_http": "true"} if _endpoint().startswith("http://") else {}


def object_status(path: ObjectPath) -> FileStatus:
    """Size and time; ``FileNotFoundError`` where there is no such object."""
    meta = obstore.head(_store(path.bucket), path.key)
    return _status(path.bucket, meta)


def list_objects(folder: ObjectPath) -> Iterator[FileStatus]:
    """Every object below a folder, at any depth."""
    for page in obstore.list(_store(folder.bucket), f"{folder.key}/" if folder.key else None):
        yield from (_status(folder.bucket, meta) for meta in page)


def list_folder(folder: ObjectPath) -> list[FileStatus]:
    """The objects in a folder itself, by name."""
    prefix = f"{folder.key}/" if folder.key else None
    found = obstore.list_with_delimiter(_store(folder.bucket), prefix)["objects"]
    return [_status(folder.bucket, meta) for meta in sorted(found, key=lambda meta: meta["path"])]


def get_object(path: ObjectPath) -> bytes:
    """The content; ``FileNotFoundError`` where there is no such object."""
    return bytes(obstore.get(_store(path.bucket), path.key).bytes())


def download_object(path: ObjectPath, target: Path) -> None:
    """The content into a local file, a piece at a time."""
    with target.open("wb") as file:
        for piece in obstore.get(_store(path.bucket), path.key).stream():
            file.write(piece)


def put_object(path: ObjectPath, content: bytes | Path) -> None:
    """Put bytes, or a local file in pieces; an object of that name is replaced."""
    obstore.put(_store(path.bucket), path.key, content)


def create_object(path: ObjectPath, content: bytes) -> bool:
    """Put bytes where no object is; False when there is one: of several writers one wins."""
    try:
        obstore.put(_store(path.bucket), path.key, content, mode="create")
    except AlreadyExistsError:
        return False
    return True


def delete_object(path: ObjectPath) -> None:
    """Remove an object, if there is one."""
    obstore.delete(_store(path.bucket), path.key)


class ObjectReader(io.RawIOBase):
    """An object as a file to read from: every read is one request for its range, and no more."""

    def __init__(self, path: ObjectPath) -> None:
        super().__init__()
        self._path, self._place = path, 0
        self._size = object_status(path).size_bytes

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, origin + offset)
        return self._place

    def read(self, size: int | None = -1) -> bytes:
        left = self._size - self._place
        length = left if size is None or size < 0 else min(size, left)
        if length <= 0:
            return b""
        store = _store(self._path.bucket)
        data = obstore.get_range(store, self._path.key, start=self._place, length=length)
        self._place += length
        return bytes(data)

    def readall(self) -> bytes:
        return self.read(-1)


def _store(bucket: str) -> S3Store:
    return _client(bucket, _endpoint())


@lru_cache(maxsize=32)
def _client(bucket: str, endpoint: str) -> S3Store:
    options = {"allow_http": True} if endpoint.startswith("http://") else {}
    return S3Store(bucket, client_options=options)  # pyright: ignore[reportArgumentType]


def _endpoint() -> str:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or ""


def _status(bucket: str, meta: obstore.ObjectMeta) -> FileStatus:
    return FileStatus(
        path=ObjectPath(bucket, meta["path"]),
        size_bytes=meta["size"],
        modified_ms=int(meta["last_modified"].timestamp() * 1000),
        version=f"{meta['e_tag']} {meta['version']}",
    )
