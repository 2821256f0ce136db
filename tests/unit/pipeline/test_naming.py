"""A name is found wherever it stands for itself, and not within a longer known one."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataset.storage import files_below
from pipeline.naming import Hit, NameSearch, hits_in_file

CONTENT = "cd" * 32


def search(*others: str) -> NameSearch:
    return NameSearch(["walk", CONTENT], ["walk-2", "my-walk", *others])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("walk", True), ("walk-000000-0050", True), ("of walk.", True), ("files/walk.mp4", True),
        ("walk-2", False), ("walk-2-000000-0050", False), ("my-walk", False), ("walking", False),
        ("cakewalk", False), ("walk_2", False), ("walk-3", True), ("walk-2 and walk", True),
        (f"/{CONTENT}.mp4", True), ("", False), ('{"path": "walk-2"}', False),
    ],
)  # fmt: skip
def test_what_names_it(text: str, named: bool) -> None:
    """Clips and files of it do, sources that are called alike do not; unknown names do."""
    assert search().in_text(text) == named


@given(
    st.lists(st.sampled_from(["walk", "walk-2", "my-walk", "-", " ", "x", "é", "0"]), max_size=8)
)
def test_as_a_slow_reader_would_say(parts: list[str]) -> None:
    """Blanking out the longer names first, then looking for the word, finds the same."""
    text = "".join(parts)
    blanked = list(text)
    for other in ("walk-2", "my-walk"):
        for match in re.finditer(f"(?={other})", text):
            blanked[match.start() : match.start() + len(other)] = "_" * len(other)
    words = re.findall(r"(?<![A-Za-z0-9_])walk(?![A-Za-z0-9_])", "".join(blanked))
    untouched = [
        match
        for match in re.finditer(r"(?<![A-Za-z0-9_])walk(?![A-Za-z0-9_])", text)
        if "_" not in blanked[match.start() : match.end()]
    ]
    assert search().in_text(text) == bool(untouched)
    assert bool(words) <= bool(untouched)


def hits(root: Path, finder: NameSearch | None = None) -> list[Hit]:
    found = (hits_in_file(root, file, finder or search()) for file in files_below(root))
    return [hit for each in found for hit in each]


def test_bytes_are_found_across_the_pieces_that_are_read(tmp_path: Path) -> None:
    """Wherever the boundary of 4 MiB falls within the name or beside it."""
    for number, cut in enumerate((0, 1, 3, 4)):
        before = b"." * ((4 << 20) - cut)
        (tmp_path / f"my-{number}.bin").write_bytes(before[:-3] + b"my-walk")
        data = before + b"walk" + b"." * 99
        (tmp_path / f"{number}.bin").write_bytes(data)
        (tmp_path / f"not-{number}.bin").write_bytes(data.replace(b"walk", b"walk-2"))
    assert [hit.path for hit in hits(tmp_path)] == [f"{number}.bin" for number in range(4)]


def test_compressed_columns_are_decoded(tmp_path: Path) -> None:
    """Texts, lists, structs and maps of Parquet, whose bytes do not show them."""
    kinds = {
        "text": pa.array(["walk-000000-0009", "and so on"] * 500),
        "list": pa.array([["a", "walk"]] * 500),
        "struct": pa.array([{"path": "walk.mp4"}] * 500),
        "map": pa.array([[("k", "walk")]] * 500, pa.map_(pa.string(), pa.string())),
        "binary": pa.array([b"\0walk\0", None] * 500),
        "other": pa.array(["walk-2"] * 500),
    }
    for name, values in kinds.items():
        path = tmp_path / f"{name}.parquet"
        pq.write_table(pa.table({"c": values}), path, compression="zstd", write_statistics=False)
    found = {hit.path for hit in hits(tmp_path) if hit.where.startswith("column c: ")}
    assert found == {f"{name}.parquet" for name in ("text", "list", "struct", "map", "binary")}


def test_a_longer_name_that_compression_cuts_apart_is_no_hit(tmp_path: Path) -> None:
    """The bytes show the beginning of another source's name, the values tell whose it is."""
    texts = pa.array([f"walk-2-{number:06d}-0050" for number in range(500)])
    pq.write_table(pa.table({"c": texts}), tmp_path / "part.parquet", compression="snappy")
    assert hits(tmp_path) == []
    (tmp_path / "part.parquet").write_bytes(b"PAR1 no table PAR1")
    assert "cannot be read" in hits(tmp_path)[0].where


def test_a_content_is_found_under_any_name(tmp_path: Path) -> None:
    """By its hash: the file itself says nothing."""
    (tmp_path / "innocent.bin").write_bytes(b"some video" * 999_999)
    digest = hashlib.sha256(b"some video" * 999_999).hexdigest()
    assert hits(tmp_path, NameSearch(["run", digest])) == [
        Hit(path="innocent.bin", where="it is the content itself")
    ]
    assert hits(tmp_path) == []
