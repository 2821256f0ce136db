"""Claims about recipe fingerprints."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.fingerprint import file_sha256, fingerprint
from dataset.settings import Settings


class Limits(Settings):
    """Two settings of a stage."""

    low: float = 0.5
    names: tuple[str, ...] = ("a",)


plain = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
values = plain | st.lists(plain, max_size=3) | st.dictionaries(st.text(max_size=5), plain)


@given(st.dictionaries(st.text(max_size=5), values, max_size=5))
@settings(max_examples=30)
def test_order_of_settings_does_not_matter(chosen: dict[str, object]) -> None:
    """Settings in another order are the same settings."""
    turned = dict(reversed(chosen.items()))
    assert fingerprint("render", 1, chosen) == fingerprint("render", 1, turned)


def test_everything_that_decides_changes_it(tmp_path: Path) -> None:
    """Stage, version, settings and the content of a file each change the fingerprint."""
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    prints = {
        fingerprint("render", 1, Limits()),
        fingerprint("curate", 1, Limits()),
        fingerprint("render", 2, Limits()),
        fingerprint("render", 1, Limits(low=0.6)),
        fingerprint("render", 1, Limits(), [model]),
    }
    model.write_bytes(b"other weights")
    prints.add(fingerprint("render", 1, Limits(), [model]))
    assert len(prints) == 6
    assert all(len(name) == 16 and int(name, 16) >= 0 for name in prints)


def test_it_is_the_same_tomorrow() -> None:
    """A fingerprint is a promise to stored rows: it does not change between versions of us."""
    assert fingerprint("render", 1, Limits()) == "58b72a5c83b4088b"


def test_files_count_by_content(tmp_path: Path) -> None:
    """A file that is moved, or named in another order, is the same file."""
    one, two, moved = tmp_path / "one", tmp_path / "two", tmp_path / "moved"
    one.write_bytes(b"1")
    two.write_bytes(b"2")
    moved.write_bytes(b"1")
    assert fingerprint("s", 1, {}, [one, two]) == fingerprint("s", 1, {}, [two, moved])


def test_settings_object_equals_its_values() -> None:
    """A settings section and its plain values have one fingerprint."""
    assert fingerprint("s", 1, Limits()) == fingerprint("s", 1, {"low": 0.5, "names": ["a"]})


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}])
def test_values_without_a_text_are_refused(value: object) -> None:
    """What JSON cannot hold has no stable fingerprint."""
    with pytest.raises(ValueError, match=r"plain values|JSON"):
        fingerprint("s", 1, {"x": value})


def test_missing_file_is_named(tmp_path: Path) -> None:
    """A model file that is not there is the caller's mistake, and named."""
    with pytest.raises(ValueError, match=r"body\.npz"):
        file_sha256(tmp_path / "body.npz")
