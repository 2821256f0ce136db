"""Where a dataset still names something: every file is read, and every value of every table.

Files are searched as their bytes lie. Parquet is not: it keeps texts compressed, which hides names
and cuts longer ones apart, so that every value is decoded. A name that is part of a longer known
one ("walk" in "walk-2-000000-0050") is not named.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dataset.storage import FileStatus, Location, local_file

_CHUNK_BYTES = 4 << 20
_ROWS = 4096


class NameSearch:
    """Finds names where they stand for themselves.

    Args:
        names: What is looked for.
        others: Names that may hold one of these and mean something else.
    """

    def __init__(self, names: Sequence[str], others: Iterable[str] = ()) -> None:
        self.names = tuple(names)
        texts = b"|".join(re.escape(name.encode()) for name in names)
        self._pattern = re.compile(rb"(?<![A-Za-z0-9_])(?:%s)(?![A-Za-z0-9_])" % texts)
        longer = {other for other in others for name in names if name in other and name != other}
        self._longer = [other.encode() for other in longer]
        self.reach = max(len(text) for text in [*map(str.encode, names), *self._longer]) + 1
        """Bytes around a name that decide whether it is one."""

    def in_bytes(self, data: bytes, first: int = 0, last: int | None = None) -> bool:
        """Whether one of the names is in the data, between two places of it.

        What lies within ``reach`` of these places has to be in the data for the answer to be right.
        """
        last = len(data) if last is None else last
        found = (m for m in self._pattern.finditer(data) if first <= m.start() and m.end() <= last)
        return any(not self._explained(data, match) for match in found)

    def in_text(self, text: str) -> bool:
        """Whether one of the names is in the text."""
        return self.in_bytes(text.encode())

    def rows_naming(self, values: pa.ChunkedArray | pa.Array) -> list[int]:
        """The indices of the texts, or lists of texts, that hold one of the names."""
        if pa.types.is_list(values.type):
            rows = enumerate(values.to_pylist())
            return [i for i, texts in rows if any(map(self.in_text, filter(None, texts or ())))]
        maybe = {index for name in self.names for index in containing(values, name)}
        return sorted(index for index in maybe if self.in_text(values[index].as_py()))

    def _explained(self, data: bytes, match: re.Match[bytes]) -> bool:
        """Whether the match is part of a longer known name."""
        for other in self._longer:
            start = other.find(match[0])
            while start >= 0:
                at = match.start() - start
                if at >= 0 and data[at : at + len(other)] == other:
                    return True
                start = other.find(match[0], start + 1)
        return False


def containing(values: pa.ChunkedArray | pa.Array, part: str) -> list[int]:
    """The indices of the texts with this part in them."""
    options = pc.MatchSubstringOptions(part)
    found = pc.call_function("match_substring", [values], options).to_pylist()
    return [index for index, holds in enumerate(found) if holds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A file that names something, and how."""

    path: str  # relative to the root
    where: str


def text_columns(schema: pa.Schema) -> list[str]:
    """The columns of texts, and of lists of them."""
    kinds = (pa.string(), pa.large_string(), pa.list_(pa.string()))
    return [field.name for field in schema if field.type in kinds]


def hits_in_file(root: Location, file: FileStatus, search: NameSearch) -> Iterator[Hit]:
    """How a file names something: by its path, its bytes, its content as a whole, or its columns.

    A content is named by its SHA-256, so that a copy under any path is found.
    """
    path = str(file.path.relative_to(root))  # pyright: ignore[reportArgumentType]
    if search.in_text(path):
        yield Hit(path=path, where="its name")
    try:
        with local_file(file.path) as local:
            named, digest = _read_through(local, search)
            if digest in search.names:
                yield Hit(path=path, where="it is the content itself")
            if path.endswith(".parquet"):
                yield from _hits_in_parquet(path, local, search)
            elif named:
                yield Hit(path=path, where="its bytes")
    except FileNotFoundError:  # somebody removed it meanwhile
        return


def _read_through(path: Path, search: NameSearch) -> tuple[bool, str]:
    """Whether a file's bytes hold a name, and their SHA-256; some megabytes at a time."""
    digest, data, named = hashlib.sha256(), b"", False
    reach, first = search.reach, 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            data += chunk
            named = named or search.in_bytes(data, first, len(data) - reach)
            if (
                len(data) > 3 * reach
            ):  # what is too near to the end to judge is judged with the next
                data, first = data[-3 * reach :], reach
    return named or search.in_bytes(data, first), digest.hexdigest()


def _hits_in_parquet(path: str, local: Path, search: NameSearch) -> Iterator[Hit]:
    """Every text and every binary value; of a table of videos one stream is in memory."""
    try:
        with pq.ParquetFile(local) as file:
            columns = [field.name for field in file.schema_arrow if _has_texts(field.type)]
            for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
                for name in columns:
                    for texts in _leaf_texts(batch.column(name)):
                        for row in search.rows_naming(texts):
                            yield Hit(path=path, where=f"column {name}: {texts[row].as_py()[:60]}")
            for name, value in _binaries(file):
                if search.in_bytes(value):
                    yield Hit(path=path, where=f"column {name}: in its bytes")
    except pa.ArrowInvalid as error:
        yield Hit(path=path, where=f"it cannot be read: {error}")


def _binaries(file: pq.ParquetFile) -> Iterator[tuple[str, bytes]]:
    kinds = (pa.binary(), pa.large_binary())
    for name in [field.name for field in file.schema_arrow if field.type in kinds]:
        for group in range(file.num_row_groups):
            for value in file.read_row_group(group, columns=[name]).column(0):
                if value.is_valid:
                    yield name, value.as_py()


def _has_texts(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.StructType | pa.ListType | pa.MapType):
        return any(_has_texts(kind.field(index).type) for index in range(kind.num_fields))
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)


def _leaf_texts(values: pa.Array) -> Iterator[pa.Array]:
    """The texts of a column, however deep they lie: a log's checkpoint has structs and maps."""
    if isinstance(values, pa.StructArray):
        for index in range(values.type.num_fields):
            yield from _leaf_texts(values.field(index))
    elif isinstance(values, pa.MapArray):
        yield from (*_leaf_texts(values.keys), *_leaf_texts(values.items))
    elif isinstance(values, pa.ListArray):
        yield from _leaf_texts(values.flatten())
    elif _has_texts(values.type):
        yield values
