"""`champ body`: every edit of a body in motion makes a picture, with data and without."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from dataset.tables import commit, write_shard
from dataset.video import probe_video
from pipeline.cli import app
from rendering.body_model import BodyModel
from rendering.render import track_columns
from rendering.sample_motion import step_and_wave

SMALL = ("--height", "48", "--columns", "2")
FRAMES = 5


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A dataset with one rendered clip of the sample motion's first frames, as it is named."""
    root = tmp_path_factory.mktemp("dataset")
    track = step_and_wave(BodyModel.load(), FRAMES)
    row = {
        "clip_id": "walk",
        "recipe": "r",
        "fps": 25.0,
        "frames": FRAMES,
        "width": track.camera.width,
        "height": track.camera.height,
        **track_columns(track),
    }
    commit(root, "guidance", [write_shard(root, "guidance", [row], name="one")], app="one")
    return f"{root}#walk"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["body", *arguments])


def sheet_cells(out: Path) -> np.ndarray:
    """A sheet of `SMALL` cells by rows, without labels and gaps: (rows, 48, anything)."""
    with Image.open(out) as picture:
        pixels = np.asarray(picture)
    return pixels.reshape(-1, 20 + 48 + 4, pixels.shape[1] * 3)[:, 20:68]


@pytest.mark.parametrize(
    ("command", "options", "rows"),
    [
        ("orbit", ("--views", "3", "--elevation", "20"), 3),
        ("shape", ("--steps", "2", "--component", "1"), 2),
        ("retime", ("--speed", "3"), 2),
        ("mirror", ("--look", "semantic_map"), 2),
        ("align", (), 4),
    ],
)
def test_every_edit_draws_a_sheet_without_any_data(
    command: str, options: tuple[str, ...], rows: int, tmp_path: Path
) -> None:
    """One row a variant, each with bodies in it, and the file is named on the last line."""
    out = tmp_path / "new" / "sheet.png"
    result = run(command, "--out", str(out), *SMALL, *options)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1] == str(out)
    assert len(result.output.splitlines()) == rows + 1
    cells = sheet_cells(out)
    assert len(cells) == rows
    assert (cells.std(axis=(1, 2)) > 5).all()


def test_a_clip_of_a_dataset_is_drawn_as_its_body(clip: str, tmp_path: Path) -> None:
    """What is read back from the guidance table, aligned with its own frame, is itself."""
    out = tmp_path / "align.png"
    result = run("align", "--motion", clip, "--reference", f"{clip}#0", "--out", str(out), *SMALL)
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[2] == "aligned, relative placement: IoU with the reference 1.00"
    motion, _, relative, _ = sheet_cells(out)
    assert np.array_equal(motion, relative)


def test_a_film_lasts_as_long_as_its_longest_variant(clip: str, tmp_path: Path) -> None:
    """Half the speed has twice the frames less one, at the clip's own rate."""
    out = tmp_path / "retime.mp4"
    result = run("retime", "--motion", clip, "--speed", "0.5", "--out", str(out), "--height", "32")
    assert result.exit_code == 0, result.output
    film = probe_video(out)
    assert (film.frames, film.fps) == (2 * FRAMES - 1, 25.0)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("orbit", "--out", "orbit.gif"), "ending in .png or .mp4, got orbit.gif"),
        (("orbit", "--look", "sepia"), "expected a look of shaded"),
        (("orbit", "--motion", "walk"), "DATASET#CLIP_ID, got 'walk'"),
        (("mirror", "--motion", "CLIP-not"), "has no row 'walk-not'"),
        (("align", "--reference", "CLIP"), "DATASET#CLIP_ID#FRAME, got"),
        (("align", "--reference", "CLIP#99"), "has 5 frames, no frame 99"),
        (("retime", "--speed", "0"), "expected a speed"),
    ],
)
def test_mistakes_are_told(
    clip: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple, told: str
) -> None:
    """A wrong file name, look, clip, frame or speed is a ValueError that says so; no file."""
    monkeypatch.chdir(tmp_path)
    result = run(*(argument.replace("CLIP", clip) for argument in arguments))
    assert isinstance(result.exception, ValueError)
    assert told in str(result.exception)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["build", "orbit", "shape", "retime", "mirror", "align"])
def test_help_says_what_a_command_does(command: str) -> None:
    """Every command has a help of more than its name and options."""
    result = run(command, "--help")
    assert result.exit_code == 0
    assert len(" ".join(result.output.split())) > 200
