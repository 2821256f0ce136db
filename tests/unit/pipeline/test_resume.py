"""The keys that are done, and the rows of a table as items."""

from __future__ import annotations

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from pipeline.resume import SortedKeys, TableRows

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.sets(TEXTS), st.lists(TEXTS))
def test_sorted_keys_are_a_set(keys, others):
    """A key is in them exactly when it was put there, whatever its letters."""
    found = SortedKeys(pa.chunked_array([list(keys)], pa.string()))
    assert len(found) == len(keys)
    assert all((key in found) == (key in keys) for key in [*keys, *others])


def test_a_million_keys_take_tens_of_megabytes():
    """16 letters a key and 8 bytes to find it; a set of texts would take over 100 MB."""
    keys = pa.array((f"{number:016x}" for number in range(1_000_000)), pa.string())
    before = pa.total_allocated_bytes()
    found = SortedKeys(pa.chunked_array([keys]))
    assert pa.total_allocated_bytes() - before < 32 << 20
    assert f"{999_999:016x}" in found
    assert "x" not in found


def test_the_rows_of_a_table_can_be_read_again():
    """Made a few at a time, all there, in order, as often as one asks."""
    table = pa.table({"source_id": [f"v{number}" for number in range(3000)]})
    rows = TableRows(table)
    assert len(rows) == 3000
    assert list(rows) == list(rows) == table.to_pylist()
