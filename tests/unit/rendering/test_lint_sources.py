"""The linter reads shards, folders and videos, and survives what else it is given."""

from __future__ import annotations

import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataset.errors import ItemError
from dataset.streams import encode_stream
from dataset.tables import commit, write_shard
from dataset.video import write_playable
from rendering.lint.lint import lint
from rendering.lint.pictures import read_picture
from tests.unit.rendering.lint_clips import FRAMES, Maps, causes, clean_maps, write_layout
from tests.unit.rendering.scenes import GOLDEN_RENDER, REFEREE_RENDER

MAPS = ("depth", "normal", "semantic_map", "dwpose", "mask")


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip folder of clean maps; not to be changed."""
    return write_layout(tmp_path_factory.mktemp("layout") / "clip", clean_maps())


@pytest.fixture
def clip(layout: Path, tmp_path: Path) -> Path:
    """A clip folder of clean maps to be damaged."""
    return shutil.copytree(layout, tmp_path / "clip")


def guidance_row(maps: Maps, clip_id: str = "clip") -> dict[str, object]:
    streams = {name: encode_stream(frames, name=name, fps=30) for name, frames in maps.items()}
    rgb = encode_stream(maps["normal"], name="rgb", fps=30)
    return {"clip_id": clip_id, "recipe": "r", "frames": FRAMES, "rgb": rgb, **streams}


def found(path: Path, **options: object) -> set[tuple[str, str]]:
    """Every (map, cause) in the single clip at a path."""
    (report,) = lint(path, **options)  # pyright: ignore[reportArgumentType]
    return causes(report)


def test_the_official_scenes_pictures_pass() -> None:
    """What Blender renders with the official scene has no fault; only the skeleton is not there."""
    assert found(GOLDEN_RENDER) == {("dwpose", "map_missing")}


def test_the_referees_pictures_pass() -> None:
    """So do the three frames of the referee fixtures."""
    if not REFEREE_RENDER.is_dir():
        pytest.skip(f"the referee fixtures are not in {REFEREE_RENDER}")
    assert found(REFEREE_RENDER) == {("dwpose", "map_missing")}


def test_clean_folders_pass_one_or_several(layout: Path) -> None:
    """A clip folder, and the folder that holds it, have no findings."""
    assert found(layout) == set()
    (report,) = lint(layout.parent)
    assert (report.clip, report.maps, report.frames, report.findings) == ("clip", MAPS, FRAMES, ())


def test_frames_are_sampled_evenly(layout: Path) -> None:
    """At most so many frames, the first and the last among them."""
    (report,) = lint(layout, max_frames=2)
    assert (report.looked_at, report.frames) == (2, FRAMES)


def test_a_shard_and_its_dataset_pass(tmp_path: Path) -> None:
    """Streams written as `champ render` does, as a file and as a committed table."""
    rows = [guidance_row(clean_maps(), clip_id) for clip_id in ("one", "two")]
    shard = write_shard(tmp_path, "guidance", rows, name="shard")
    reports = list(lint(tmp_path / "guidance" / shard.path))
    assert [(r.clip, r.maps, r.findings) for r in reports] == [("one", MAPS, ()), ("two", MAPS, ())]
    commit(tmp_path, "guidance", [shard], app="test")
    assert [report.clip for report in lint(tmp_path)] == ["one", "two"]
    assert [report.clip for report in lint(tmp_path / "guidance")] == ["one", "two"]


def test_faults_in_a_shard_are_found_by_clip(tmp_path: Path) -> None:
    """A damaged stream, a missing one, one frame too few, and wrong colours, each in its row."""
    maps = clean_maps()
    damaged = guidance_row(maps, "damaged") | {"normal": b"no video"}
    missing = guidance_row(maps, "missing") | {"depth": None}
    short = guidance_row(maps, "short") | {
        "mask": encode_stream(maps["mask"][:-1], name="mask", fps=30)
    }
    swapped = guidance_row({**maps, "normal": maps["normal"][..., ::-1]}, "swapped")
    shard = write_shard(tmp_path, "guidance", [damaged, missing, short, swapped], name="shard")
    reports = {report.clip: causes(report) for report in lint(tmp_path / "guidance" / shard.path)}
    assert reports == {
        "damaged": {("normal", "damaged")},
        "missing": {("depth", "map_missing")},
        "short": {("mask", "frames_missing")},
        "swapped": {("normal", "normal_bgr")},
    }


@pytest.mark.parametrize("name", MAPS)
def test_a_video_of_one_map_is_recognised(name: str, tmp_path: Path) -> None:
    """Which map a lossless video shows is guessed right, and it passes."""
    path = tmp_path / "video.mp4"
    path.write_bytes(encode_stream(clean_maps()[name], name=name, fps=30))
    (report,) = lint(path)
    assert (report.maps, report.frames, report.findings) == ((name,), FRAMES, ())


@pytest.mark.parametrize("name", ["normal", "semantic_map", "dwpose", "mask"])
def test_a_video_to_be_played_is_lossy(name: str, tmp_path: Path) -> None:
    """H.264 as browsers play it is recognised as the map it shows, and named lossy."""
    path = tmp_path / "video.mp4"
    frames = clean_maps()[name]
    write_playable(path, np.repeat(frames, 3 // frames.shape[-1], axis=-1), fps=30)
    assert found(path) == {(name, "lossy")}


def test_a_video_takes_the_name_it_is_given(tmp_path: Path) -> None:
    """What is said to be a normal map is judged as one."""
    path = tmp_path / "video.mp4"
    path.write_bytes(encode_stream(clean_maps()["semantic_map"], name="semantic_map", fps=30))
    assert ("normal", "normal_not_unit") in found(path, map_name="normal")
    with pytest.raises(ValueError, match="one of depth"):
        found(path, map_name="albedo")


def test_a_folder_of_one_map_is_judged_by_its_name(layout: Path) -> None:
    """Without the other maps only what the map itself tells is looked at."""
    (report,) = lint(layout / "normal")
    assert (report.maps, report.findings) == (("normal",), ())


def test_a_missing_frame_is_named(clip: Path) -> None:
    """The map that lacks it, and its number."""
    (clip / "depth" / "0002.png").unlink()
    (report,) = lint(clip)
    (finding,) = report.findings
    assert (finding.map, finding.cause, finding.frames) == ("depth", "frames_missing", (2,))


def test_fewer_frames_of_the_video_itself_are_named(clip: Path) -> None:
    """The frames are counted, not looked at."""
    (clip / "images").mkdir()
    cv2.imwrite(str(clip / "images" / "0000.png"), np.zeros((4, 4, 3), np.uint8))
    assert found(clip) == {("images", "frames_missing")}


def test_another_size_is_named(clip: Path) -> None:
    """The map whose size is not that of most."""
    for path in (clip / "semantic_map").iterdir():
        picture = np.asarray(cv2.imread(str(path)))
        half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_NEAREST)
        cv2.imwrite(str(path), half)
    assert found(clip) == {("semantic_map", "other_size")}


@pytest.mark.parametrize("kept", [0, 20, 1000, -20])
def test_a_cut_off_picture_is_named(kept: int, clip: Path) -> None:
    """Wherever a PNG ends early, and the other frames are still judged."""
    path = clip / "normal" / "0001.png"
    path.write_bytes(path.read_bytes()[:kept])
    (report,) = lint(clip)
    (finding,) = report.findings
    assert (finding.map, finding.cause, finding.frames) == ("normal", "damaged", (1,))


def test_a_changed_picture_is_named(clip: Path) -> None:
    """One flipped bit in the compressed pixels."""
    path = clip / "mask" / "0002.png"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    assert found(clip) == {("mask", "damaged")}


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))


def jpeg_header(width: int, height: int) -> bytes:
    return b"\xff\xd8\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + bytes(12)


@pytest.mark.parametrize("header", [png_header(100_000, 100_000), jpeg_header(65_000, 9)])
def test_a_bomb_is_refused_by_its_header(header: bytes, clip: Path) -> None:
    """Nothing of that size is ever decoded."""
    (clip / "depth" / "0000.png").write_bytes(header)
    assert found(clip) == {("depth", "too_large")}


def test_pictures_that_lossy_compression_made_are_named(clip: Path) -> None:
    """JPEG files in the place of PNG ones."""
    for path in (clip / "normal").iterdir():
        cv2.imwrite(str(path.with_suffix(".jpg")), np.asarray(cv2.imread(str(path))))
        path.unlink()
    assert found(clip) == {("normal", "lossy")}


def test_what_holds_no_maps_is_a_callers_mistake(tmp_path: Path) -> None:
    """Each time it is said what was expected."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"folders named depth"):
        found(tmp_path / "empty")
    with pytest.raises(ValueError, match="nothing at"):
        found(tmp_path / "nowhere")
    write_shard(tmp_path, "selection", [{"clip_id": "c", "recipe": "r"}], name="shard")
    with pytest.raises(ValueError, match="guidance table"):
        found(tmp_path / "selection" / "shard.parquet")
    (tmp_path / "text.mp4").write_text("no video")
    with pytest.raises(ItemError, match=r"probe\.not_video"):
        found(tmp_path / "text.mp4")
    (tmp_path / "text.parquet").write_text("no table")
    with pytest.raises(ItemError, match=r"shard\.damaged"):
        found(tmp_path / "text.parquet")


def test_a_photograph_is_no_map(tmp_path: Path) -> None:
    """A video that could be any of them has to be named."""
    noise = np.random.default_rng(0).integers(0, 255, (3, 64, 64, 3)).astype(np.uint8)
    write_playable(tmp_path / "photo.mp4", noise, fps=30)
    with pytest.raises(ValueError, match="--map"):
        found(tmp_path / "photo.mp4")


@settings(max_examples=60, deadline=None)
@given(changes=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=4))
def test_any_bytes_are_a_picture_or_an_item_error(
    changes: list[tuple[int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """However a PNG was changed, reading it does nothing worse."""
    _, encoded = cv2.imencode(".png", np.arange(300, dtype=np.uint8).reshape(10, 10, 3))
    data = bytearray(encoded.tobytes())
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path_factory.mktemp("png") / "0.png"
    path.write_bytes(data)
    try:
        shape = read_picture(path).shape
    except ItemError as error:
        shape = error.kind
    assert shape in ("lint.damaged", "lint.too_large") or shape[2] in (1, 3, 4)


def test_a_folder_of_videos_passes(tmp_path: Path) -> None:
    """An MP4 a map in the place of folders of pictures."""
    for name, frames in clean_maps().items():
        (tmp_path / f"{name}.mp4").write_bytes(encode_stream(frames, name=name, fps=30))
    (report,) = lint(tmp_path)
    assert (report.maps, report.frames, report.findings) == (MAPS, FRAMES, ())


def test_a_stream_with_a_side_too_long_is_not_decoded(tmp_path: Path) -> None:
    """In a shard as in a folder."""
    wide = encode_stream(np.zeros((1, 2, 8224, 3), np.uint8), name="normal", fps=30)
    row = {"clip_id": "wide", "recipe": "r", "normal": wide}
    shard = write_shard(tmp_path, "guidance", [row], name="shard")
    assert ("normal", "too_large") in found(tmp_path / "guidance" / shard.path)
    (tmp_path / "clip").mkdir()
    (tmp_path / "clip" / "normal.mp4").write_bytes(wide)
    assert ("normal", "too_large") in found(tmp_path / "clip")
