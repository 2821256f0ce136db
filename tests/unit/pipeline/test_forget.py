"""A forgotten source is gone from every table and file, stays out, and takes nothing else along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from curation.fetching.partials import partial_folder
from dataset.denied import read_denied
from dataset.errors import ItemDeferredError, ItemError
from dataset.records import STREAM_NAMES
from dataset.schemas import KEYS, SCHEMAS
from dataset.tables import live_files, read_row, read_table
from pipeline.cli import app
from pipeline.export import export
from pipeline.forget import Forgotten, forget
from pipeline.trained_on import record_sources
from tests.unit.pipeline.chain_dataset import (
    ANIMATIONS,
    CLIPS,
    CONTENTS,
    RECIPE,
    add,
    sha256,
    write_chain,
)
from training.clips import encoded_clips, rendered_clips

REPOSITORY = Path(__file__).resolve().parents[3]
OF_WALK = {"walk", CLIPS["walk"], "own", "mixed"}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture
def root(chain: Path, tmp_path: Path) -> Path:
    return shutil.copytree(chain, tmp_path / "dataset")


def forgotten(root: Path, source_id: str, **options: str) -> Forgotten:
    return forget(root, source_id, told=lambda _: None, **options)


def keys(root: Path, table: str) -> list[str]:
    return sorted(read_table(root, table, columns=[KEYS[table]]).column(0).to_pylist())


def values(root: Path) -> Iterator[tuple[Path, str]]:
    """Every text in every Parquet file there is, and all other files' bytes, read plainly."""
    for path in (path for path in root.rglob("*") if path.is_file()):
        yield path, str(path.relative_to(root))
        if path.suffix == ".parquet":
            yield path, str(pq.read_table(path).drop_columns(
                [n for n in pq.read_schema(path).names if n in STREAM_NAMES]
            ).to_pylist())  # fmt: skip
        yield path, path.read_bytes().decode("latin-1")


def naming(root: Path, name: str) -> list[Path]:
    """Files that hold a name; ``walk-2`` is somebody else's."""
    return [path for path, text in values(root) if name in text.replace("walk-2", "")]


def check_gone(root: Path) -> None:
    """Nothing of ``walk`` is left, and everything else is as it was written."""
    assert naming(root, "walk") == []
    assert naming(root, sha256("walk")) == []
    assert keys(root, "videos") == ["run", "twin", "walk-2"]
    for table in ("clips", "selection"):
        assert keys(root, table) == [CLIPS["run"], CLIPS["walk-2"]]
    assert keys(root, "guidance") == keys(root, "latents") == [CLIPS["run"]]
    assert keys(root, "animations") == keys(root, "metrics") == ["other"]
    assert set(keys(root, "outcomes")) == {
        "run",
        "twin",
        "walk-2",
        CLIPS["run"],
        CLIPS["walk-2"],
        "other",
    }
    assert sorted(path.name for path in (root / "outputs" / RECIPE).iterdir()) == [
        "other.frames.mp4", "other.mp4",
    ]  # fmt: skip
    files = sorted(path.read_bytes() for path in (root / "files").rglob("*.mp4"))
    assert files == sorted({CONTENTS["run"], CONTENTS["walk-2"]})


def test_everything_of_it_goes_and_all_else_stays(root: Path) -> None:
    """Rows, files, animations that show it or move like it; a name that begins alike is safe."""
    before = read_row(root, "guidance", CLIPS["run"], columns=list(STREAM_NAMES))
    with suppress(ItemDeferredError), partial_folder(root, "walk") as waiting:
        (waiting / "half.mp4").write_bytes(CONTENTS["walk"][:999])
        raise ItemDeferredError("test.waits", "to go on later")
    assert (waiting / "half.mp4").exists()
    done = forgotten(root, "walk", reason="asked for")
    assert done.hits == ()
    assert {table: n for table, n in done.rows.items() if n} == {
        "videos": 1, "clips": 1, "selection": 1, "guidance": 1, "latents": 1, "animations": 2,
        "metrics": 2, "outcomes": 9,
    }  # fmt: skip
    assert len(done.files) == 1 + 2 * 2
    check_gone(root)
    assert not waiting.exists()
    assert read_row(root, "guidance", CLIPS["run"], columns=list(STREAM_NAMES)) == before
    assert read_denied(root).names(CLIPS["walk"])
    assert read_denied(root).names(sha256("walk"))
    again = forgotten(root, "walk")
    assert (again.hits, set(again.rows.values()), again.files) == ((), {0}, ())


def test_a_dry_run_tells_and_changes_nothing(root: Path) -> None:
    """All that would go, by table; not a file is touched."""
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    result = CliRunner().invoke(app, ["forget", str(root), "walk", "--dry-run"])
    assert result.exit_code == 0
    for told in (*OF_WALK, f"{sha256('walk')}.mp4", "own.frames.mp4"):
        assert told in result.output
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_a_video_that_is_another_source_too_stays_until_that_one_goes(root: Path) -> None:
    """The takedown says so; the last one takes the file and denies the content."""
    done = forgotten(root, "run")
    assert (done.hits, done.plan.same_content) == ((), ["twin"])
    assert (root / "files" / sha256("run")[:2] / f"{sha256('run')}.mp4").is_file()
    assert not read_denied(root).names(sha256("run"))
    assert forgotten(root, "twin").hits == ()
    assert CONTENTS["run"] not in [p.read_bytes() for p in (root / "files").rglob("*.mp4")]
    assert read_denied(root).names(sha256("run"))


def test_what_still_names_it_is_told_and_the_proof_fails(root: Path) -> None:
    """A copy of the video, a table that was copied aside, a note; the report's page just goes."""
    (root / "runs" / "stage1").mkdir(parents=True)
    (root / "runs" / "stage1" / "notes.txt").write_text(f"look at {CLIPS['walk']}")
    (root / "copy.bin").write_bytes(CONTENTS["walk"])
    shutil.copy(live_files(root, "videos")[0], root / "aside.parquet")
    (root / "report.html").write_text(f"<video title={CLIPS['walk']}>")
    result = CliRunner().invoke(app, ["forget", str(root), "walk"])
    assert result.exit_code == 1
    assert "not proved" in result.output
    for told in (
        "runs/stage1/notes.txt: its bytes",
        "copy.bin: it is the content itself",
        "aside.parquet: column source_id",
    ):
        assert told in result.output
    assert not (root / "report.html").exists()
    for path in ("runs/stage1/notes.txt", "copy.bin", "aside.parquet"):
        (root / path).unlink()
    result = CliRunner().invoke(app, ["forget", str(root), "walk"])
    assert result.exit_code == 0, result.output
    assert "0 name the source or its content" in result.output
    check_gone(root)


def test_rows_of_others_that_name_it_go_where_they_are_made_again(root: Path) -> None:
    """A clip that was turned down as its copy is decided anew; its row and files stay."""
    row = {"clip_id": CLIPS["run"], "source_id": "run", "recipe": "second", "selected": False}
    row["reason"] = f"select.copy_of.{CLIPS['walk']}"
    add(root, "selection", [row], name="copies")
    assert forgotten(root, "walk").hits == ()
    assert keys(root, "selection") == [CLIPS["walk-2"]]
    assert CLIPS["run"] in keys(root, "guidance")
    assert CLIPS["run"] in keys(root, "outcomes")


def test_animations_of_its_file_go_and_sources_called_like_its_clips_stay(root: Path) -> None:
    """The video under its own name as a motion; an id that looks like a clip's is a source's."""
    place = {"reference": "somebody.png", "video_path": "outputs/v.mp4", "frames_path": "outputs/f"}
    add(
        root,
        "animations",
        [{"animation_id": "by-file", "motion": "/data/walk.mp4"} | place],
        name="1",
    )
    like = "walk-000000-0009"
    add(
        root,
        "videos",
        [{"source_id": like, "path": "files/x.mp4", "content_sha256": "ee" * 32}],
        name="1",
    )
    add(root, "outcomes", [{"key": like, "job": "fetch", "status": "ok"}], name="1")
    assert forgotten(root, "walk").hits == ()
    assert keys(root, "animations") == ["other"]
    assert like in keys(root, "videos")
    assert like in keys(root, "outcomes")


def test_copies_and_trainings_that_it_cannot_reach_are_told(root: Path, tmp_path: Path) -> None:
    """Exported folders, and runs that saw a clip; also when it is called again."""
    export(root, tmp_path / "out", quiet=True)
    record_sources(root / "runs" / "stage1", [CLIPS["walk"], CLIPS["run"]])
    record_sources(root / "runs" / "stage2", [CLIPS["run"]])
    (root / "runs" / "vae").mkdir()
    assert naming(root / "runs", "walk") == []
    done = forgotten(root, "walk")
    assert done.hits == ()
    assert done.plan.copies == [str(tmp_path / "out" / "web" / CLIPS["walk"])]
    assert [folder.name for folder in done.runs.saw] == ["stage1"]
    assert [folder.name for folder in done.runs.did_not] == ["stage2"]
    assert [folder.name for folder in done.runs.do_not_say] == ["vae"]
    assert forgotten(root, "walk").runs == done.runs


def test_an_unknown_source_is_refused_with_the_nearest(root: Path) -> None:
    """Nothing is denied by a slip of the pen; nor is a reason taken that would name it."""
    with pytest.raises(ValueError, match="did you mean walk"):
        forgotten(root, "wallk")
    with pytest.raises(ValueError, match="must not name"):
        forgotten(root, "walk", reason="walk was withdrawn")
    assert not read_denied(root).names("wallk")
    assert "walk" in keys(root, "videos")


def test_training_refuses_clips_that_came_back(root: Path, tmp_path: Path) -> None:
    """Rows of a forgotten source, from a backup say, stop a training before its first step."""
    saved = shutil.copytree(root, tmp_path / "backup")
    forgotten(root, "walk")
    assert [clip.clip_id for clip in rendered_clips(root, size=16, margin=0.0)] == [CLIPS["run"]]
    for table in ("guidance", "latents"):
        shutil.rmtree(root / table)
        shutil.copytree(saved / table, root / table)
    with pytest.raises(ItemError, match=r"source\.denied"):
        rendered_clips(root, size=16, margin=0.0)
    with pytest.raises(ItemError, match=r"source\.denied"):
        encoded_clips(root)


POINTS = (
    "takedown.committed-6", "takedown.rewritten-1", "takedown.committed-3", "takedown.deleted-2",
    "log.checkpointed-5", "lock.taken-12", "commit.done-1",
)  # fmt: skip


@pytest.mark.parametrize(
    "point", [POINTS[0], *(pytest.param(p, marks=pytest.mark.slow) for p in POINTS[1:])]
)
def test_killed_anywhere_and_called_again_it_completes(
    root: Path, tmp_path: Path, point: str
) -> None:
    """kill -9 between the steps, in a process of its own; the second call leaves nothing behind."""
    faults = tmp_path / "faults"
    faults.mkdir()
    (faults / f"{point}-kill").touch()
    code = "import sys; from pathlib import Path; from pipeline.forget import forget; "
    code += "sys.exit(bool(forget(Path(sys.argv[1]), 'walk').hits))"
    command = [sys.executable, "-c", code, str(root)]
    environment = {**os.environ, "CHAMP_FAULTS": str(faults), "PYTHONPATH": str(REPOSITORY)}
    killed = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)
    assert killed.returncode == -9, killed.stderr.decode()
    assert list(faults.iterdir()) == []
    again = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=120)
    assert again.returncode == 0, again.stderr.decode()
    check_gone(root)


def test_every_table_is_thought_of() -> None:
    """A table that is added must say how a source is found in it."""
    assert set(SCHEMAS) <= {
        "sources", "videos", "clips", "selection", "duplicates", "guidance", "latents",
        "animations", "metrics", "outcomes", "denied",
    }  # fmt: skip
    assert set(ANIMATIONS) == {"own", "mixed", "other"}
