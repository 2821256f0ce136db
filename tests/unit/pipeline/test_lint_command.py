"""`champ lint` prints what was found and says so by its exit status."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from typer.testing import CliRunner

from pipeline.cli import app
from tests.unit.rendering.lint_clips import clean_maps, write_layout
from tests.unit.rendering.scenes import GOLDEN_RENDER


def test_clean_maps_exit_with_0() -> None:
    """A warning alone is no reason to fail."""
    result = CliRunner().invoke(app, ["lint", str(GOLDEN_RENDER)])
    assert result.exit_code == 0
    assert "1 clip, none with errors" in result.output
    assert "dwpose: map_missing" in result.output


def test_errors_exit_with_1_and_are_told_as_json(tmp_path: Path) -> None:
    """The finding with its map, cause, frames and remedy."""
    maps = clean_maps()
    write_layout(tmp_path / "clip", maps | {"normal": maps["normal"][..., ::-1]})
    result = CliRunner().invoke(app, ["lint", str(tmp_path), "--json", "--max-frames", "2"])
    assert result.exit_code == 1
    (clip,) = json.loads(result.output)["clips"]
    (finding,) = clip["findings"]
    assert (clip["clip"], clip["looked_at"], clip["errors"]) == ("clip", 2, 1)
    assert (finding["map"], finding["cause"], finding["frames"]) == ("normal", "normal_bgr", [0, 2])
    assert "RGB2BGR" in finding["remedy"]


def test_the_table_names_map_cause_and_remedy(tmp_path: Path) -> None:
    """What a person reads."""
    folder = shutil.copytree(GOLDEN_RENDER, tmp_path / "clip")
    (folder / "depth" / "0000.png").write_bytes(b"cut")
    result = CliRunner().invoke(app, ["lint", str(folder)], terminal_width=160)
    assert result.exit_code == 1
    for text in ("depth: damaged", "1 clip, 1 with errors"):
        assert text in result.output


def test_a_wrong_call_is_a_value_error(tmp_path: Path) -> None:
    """Which the command line turns into exit status 2."""
    result = CliRunner().invoke(app, ["lint", str(tmp_path)])
    assert isinstance(result.exception, ValueError)
