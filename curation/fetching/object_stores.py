"""Source files in object stores: S3, Google Cloud Storage, Azure; only where it was allowed.

Access is the operator's, from the environment as each store's own tools read it
(``AWS_ACCESS_KEY_ID``, ``AWS_ENDPOINT_URL``, ...); a manifest names places, and only those under a
prefix of ``fetch.allow_paths`` are read with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from obstore.exceptions import BaseError, NotFoundError
from obstore.store import from_url

from curation.fetching.local_files import write_hashed
from dataset.errors import ItemError

_OBJECT = re.compile(r"(s3|gs|az|abfss?)://([A-Za-z0-9.@_-]+)/([^\x00-\x1f\x7f?#\\]+)")
_CHUNK_BYTES = 1 << 20


def is_object(path: str) -> bool:
    """Whether a manifest's ``path`` is the URL of an object rather than a local file."""
    return bool(re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", path))


def copy_object(url: str, target: Path, *, max_bytes: int, allow_paths: Sequence[str]) -> str:
    """Copy an object to a local file and return its SHA-256.

    Raises:
        ItemError: ``fetch.scheme`` (no object store), ``fetch.path_not_allowed``,
            ``fetch.missing_file``, ``fetch.too_large``, ``fetch.store_error``.
    """
    found = _OBJECT.fullmatch(url)
    if found is None:
        message = f"{url[:200]!r} is no s3://, gs:// or az:// object"
        raise ItemError("fetch.scheme", message, status="rejected")
    scheme, bucket, key = found.groups()
    if ".." in key.split("/") or not any(_within(url, prefix) for prefix in allow_paths):
        raise ItemError(
            "fetch.path_not_allowed",
            f"{url[:200]} is under no prefix of fetch.allow_paths",
            status="rejected",
        )
    return write_hashed(_chunks(f"{scheme}://{bucket}", key, max_bytes), target, max_bytes)


def _chunks(bucket: str, key: str, max_bytes: int) -> Iterator[bytes]:
    shown = f"{bucket}/{key}"
    try:
        got = from_url(bucket).get(key)
        if got.meta["size"] > max_bytes:
            message = f"{shown}: {got.meta['size']} > {max_bytes}"
            raise ItemError("fetch.too_large", message, status="rejected")
        for chunk in got.stream(min_chunk_size=_CHUNK_BYTES):
            yield bytes(chunk)
    except (NotFoundError, FileNotFoundError) as error:
        raise ItemError("fetch.missing_file", f"there is no object {shown}") from error
    except (BaseError, OSError) as error:
        message = f"{shown}: {type(error).__name__}"  # its text may hold a signed address
        raise ItemError("fetch.store_error", message) from error


def _within(url: str, prefix: str) -> bool:
    return "://" in prefix and f"{url}/".startswith(f"{prefix.rstrip('/')}/")
