"""What was taken down stays out, and nothing in the table says what it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from dataset.denied import deny, read_denied, source_of_clip
from dataset.errors import ItemError
from dataset.tables import live_files

CONTENT = "ab" * 32


def test_a_source_its_clips_and_its_content_are_denied(tmp_path: Path) -> None:
    """And nothing else is, however alike its name."""
    assert not read_denied(tmp_path).names("walk")
    assert deny(tmp_path, ["walk", CONTENT], reason="asked for by the person shown")
    denied = read_denied(tmp_path)
    for name in ("walk", "walk-000000-0050", "walk-012345-12345", CONTENT):
        assert denied.names(name)
        with pytest.raises(ItemError) as refused:
            denied.check("run", name)
        assert (refused.value.kind, refused.value.status) == ("source.denied", "rejected")
    for name in ("walk-2", "walking", "walk-000000-50", "a-walk-000000-0050", "cd" * 32, ""):
        assert not denied.names(name)
    denied.check("run", "walk-2-000000-0050")


def test_denying_again_keeps_the_first_reason(tmp_path: Path) -> None:
    """A takedown that is repeated after a crash adds nothing."""
    assert deny(tmp_path, ["walk"], reason="first")
    assert not deny(tmp_path, ["walk"], reason="second")
    assert deny(tmp_path, ["walk", "run"], reason="third")
    assert sorted(read_denied(tmp_path).reasons.values()) == ["first", "third"]


def test_the_table_names_nobody(tmp_path: Path) -> None:
    """The ids are not in its files, and a reason that would put one there is refused."""
    deny(tmp_path, ["jumping_jacks", CONTENT], reason="a request")
    for path in (*live_files(tmp_path, "denied"), *tmp_path.rglob("*.json")):
        assert b"jumping_jacks" not in path.read_bytes()
        assert CONTENT.encode() not in path.read_bytes()
    with pytest.raises(ValueError, match="must not name"):
        deny(tmp_path, ["treadmill"], reason="treadmill, by letter of May 2nd")


def test_the_source_of_a_clip_is_told_from_its_id() -> None:
    """Also where the source's own id has numbers in it."""
    assert source_of_clip("walk-2024-000123-0099") == "walk-2024"
    assert source_of_clip("walk") == "walk"
