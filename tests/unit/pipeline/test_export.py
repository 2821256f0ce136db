"""Exported clips, read as the official training code reads its folders and by nothing of ours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation
from typer.testing import CliRunner

from dataset.denied import deny
from dataset.outcomes import read_outcomes
from dataset.streams import decode_stream
from dataset.tables import read_row
from inference.map_folder import open_map_folder
from pipeline.champ_layout import frame_names, known_boxes
from pipeline.cli import app
from pipeline.export import export
from rendering.lint.lint import lint
from rendering.render import TRACK_COLUMNS, read_track
from tests.unit.pipeline.chain_dataset import CLIPS, FRAMES, RECIPE, add, stream_frames, write_chain

GUIDANCE = ("depth", "normal", "semantic_map", "dwpose")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def out(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("out") / "videos"
    assert export(dataset, folder, quiet=True).written == 2
    return folder


def official_clips(video_folder: Path) -> list[Path]:
    """The clips that the official loader would train on, found in its way."""
    clips = []
    for part in sorted(video_folder.iterdir()):
        for clip in sorted(part.iterdir()):
            length = len(list((clip / "images").iterdir()))
            if all(len(list((clip / name).iterdir())) == length for name in GUIDANCE):
                clips.append(clip)
    return clips


def official_frame(clip: Path, index: int) -> dict[str, np.ndarray]:
    """A frame and its maps, opened in the official loader's way: three channels each."""
    name = sorted(path.name for path in (clip / "images").glob("*.png"))[index]
    frame = {
        guide: np.asarray(Image.open(clip / guide / name).convert("RGB")) for guide in GUIDANCE
    }
    mask = np.asarray(Image.open(clip / "mask" / name).convert("RGB"))
    semantic = np.asarray(Image.open(clip / "semantic_map" / name))
    picture = np.asarray(Image.open(clip / "images" / name))
    return frame | {
        "semantic_map": np.where(mask > 0, semantic, 0),
        "images": picture,
        "mask": mask,
    }


def test_the_official_way_of_reading_sees_every_pixel(dataset: Path, out: Path) -> None:
    """The maps are those that were drawn, to the last value, and the frames those of the stream."""
    drawn = stream_frames()
    clips = official_clips(out)
    assert [clip.name for clip in clips] == [CLIPS["run"], CLIPS["walk"]]
    for clip in clips:
        rgb = decode_stream(read_row(dataset, "guidance", clip.name, columns=["rgb"])["rgb"])
        for index in range(FRAMES):
            frame = official_frame(clip, index)
            np.testing.assert_array_equal(frame["images"], rgb[index])
            for name in (*GUIDANCE, "mask"):
                expected = np.broadcast_to(drawn[name][index], frame[name].shape)
                np.testing.assert_array_equal(frame[name], expected)


def test_an_exported_clip_can_be_a_motion_again(out: Path) -> None:
    """`champ animate` reads its maps as they were drawn, three channels each."""
    drawn = stream_frames()
    maps = open_map_folder(official_clips(out)[0], GUIDANCE)
    assert (maps.frames, len(maps.masks)) == (FRAMES, FRAMES)
    for index, pictures in enumerate(maps.read(range(FRAMES))):
        for name, picture in zip(GUIDANCE, pictures, strict=True):
            expected = np.broadcast_to(drawn[name][index], picture[0].shape)
            np.testing.assert_array_equal(picture[0], expected)


def test_the_linter_finds_nothing_in_it(out: Path) -> None:
    """`champ lint OUT` goes through the parts, and every clip follows the conventions."""
    reports = list(lint(out))
    assert {report.clip for report in reports} == {CLIPS["run"], CLIPS["walk"]}
    assert [finding for report in reports for finding in report.findings] == []


def test_boxes_bodies_and_provenance_are_beside_the_pictures(dataset: Path, out: Path) -> None:
    """What the official tools and a person who asks for the licence read."""
    clip = out / "web" / CLIPS["walk"]
    assert json.loads((clip / "human_bbox.json").read_text()) == [[90, 20, 290, 370]] * FRAMES
    told = json.loads((clip / "clip.json").read_text())
    assert (told["licence"], told["fps"], told["recipe"]) == ("CC-BY-4.0", 30.0, RECIPE)
    track = read_track(read_row(dataset, "guidance", CLIPS["walk"], columns=TRACK_COLUMNS))
    frame = np.load(clip / "smpl_results" / "0001.npy", allow_pickle=True).item()
    np.testing.assert_array_equal(frame["cam_t"][0], track.transl[1])
    assert float(frame["scaled_focal_length"]) == track.camera.focal_length_px
    turn = Rotation.from_matrix(frame["smpls"]["global_orient"][0, 0]).as_rotvec()
    np.testing.assert_allclose(turn, track.global_orient[1], atol=1e-5)
    group = np.load(clip / "smpl_results" / "smpls_group.npz", allow_pickle=True)
    poses = Rotation.from_matrix(group["smpl"][2]["body_pose"][0]).as_rotvec()
    np.testing.assert_allclose(poses, track.body_pose[2], atol=1e-5)
    assert group["smpl"][0]["betas"].shape == (1, 10)
    assert len(group["camera"]) == len(group["scaled_focal_length"]) == FRAMES


def test_a_killed_export_goes_on_with_what_is_missing(dataset: Path, tmp_path: Path) -> None:
    """Half a clip lies beside OUT, never in it; whole clips are not written again."""
    out = tmp_path / "videos"
    half = tmp_path / "videos.partial" / CLIPS["run"] / "images"
    half.mkdir(parents=True)
    (half / "0009.png").write_bytes(b"half")
    assert export(dataset, out, quiet=True, dry_run=True).to_do == 2
    assert not out.exists()
    assert export(dataset, out, quiet=True).written == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["videos"]
    kept = out / "web" / CLIPS["walk"] / "images" / "0000.png"
    before = kept.stat().st_mtime_ns
    shutil.rmtree(out / "web" / CLIPS["run"])
    again = export(dataset, out, quiet=True)
    assert (again.written, again.already_there) == (1, 1)
    assert kept.stat().st_mtime_ns == before
    assert len(official_clips(out)) == 2


def test_the_dataset_remembers_where_copies_are(dataset: Path, out: Path) -> None:
    """One outcome a clip and place, however often the export is repeated."""
    export(dataset, out, quiet=True)
    places = [row.message for row in read_outcomes(dataset, "export") if row.key == CLIPS["walk"]]
    assert places.count(str(out / "web" / CLIPS["walk"])) == 1


def test_a_damaged_clip_is_told_and_costs_no_other(tmp_path: Path) -> None:
    """Its row is counted as failed, exit status 1; the other clips are there."""
    root = write_chain(tmp_path / "dataset")
    row = read_row(root, "guidance", CLIPS["run"], columns=["frames", "width", "height", "boxes"])
    track = read_row(root, "guidance", CLIPS["run"], columns=TRACK_COLUMNS)
    add(
        root,
        "guidance",
        [{"clip_id": "bad-000000-0003", "rgb": b"no MP4", **row, **track}],
        name="bad",
    )
    deny(root, ["walk"], reason="asked for")
    result = CliRunner().invoke(app, ["export", str(root), str(tmp_path / "out")])
    assert result.exit_code == 1
    assert "1 written, 2 failed" in result.output
    assert "bad-000000-0003: stream.damaged" in result.output
    assert f"{CLIPS['walk']}: source.denied" in result.output
    assert [clip.name for clip in official_clips(tmp_path / "out")] == [CLIPS["run"]]
    told = {row.key: row.reason for row in read_outcomes(root, "export")}
    assert told["bad-000000-0003"] == "stream.damaged"


def test_recipes_never_mix(dataset: Path, out: Path, tmp_path: Path) -> None:
    """A folder that holds clips of another recipe is refused before anything is written."""
    place = out / "web" / CLIPS["walk"] / "clip.json"
    other = shutil.copytree(out, tmp_path / "other")
    told = json.loads(place.read_text()) | {"recipe": "another"}
    (other / place.relative_to(out)).write_text(json.dumps(told))
    with pytest.raises(ValueError, match="recipe another"):
        export(dataset, other, quiet=True)
    with pytest.raises(ValueError, match="champ render"):
        export(dataset, tmp_path / "new", recipe="unknown", quiet=True)


def test_names_are_in_the_order_of_the_frames() -> None:
    """Also of clips of more than 9999 frames, which a plain sort would shuffle."""
    assert frame_names(3) == ["0000", "0001", "0002"]
    assert frame_names(12_000) == sorted(frame_names(12_000))


def test_a_frame_without_a_box_gets_one_between_its_neighbours() -> None:
    """The official loader can neither do without a box nor read NaN."""
    nan = float("nan")
    boxes = known_boxes([0, 0, 10, 10, nan, nan, nan, nan, 20, 0, 30, 10], 64, 48)
    np.testing.assert_array_equal(boxes[1], [10, 0, 20, 10])
    np.testing.assert_array_equal(known_boxes([nan] * 4, 64, 48), [[0, 0, 64, 48]])
