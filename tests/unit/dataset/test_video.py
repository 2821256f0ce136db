"""Claims about video from outside (good, damaged, hostile) and about files made to be played."""

import contextlib
import io
from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from av.video.frame import VideoFrame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset.errors import ItemError
from dataset.video import probe_video, read_frames, write_playable


def numbered(count: int, height: int = 48, width: int = 64) -> list[np.ndarray]:
    """Frames whose grey level is 8 times their number, so that a frame tells which it is."""
    return [np.full((height, width, 3), 8 * (i % 32), np.uint8) for i in range(count)]


def numbers(frames: list[np.ndarray]) -> list[int]:
    """Which of the ``numbered`` frames these are."""
    return [round(float(frame.mean()) / 8) for frame in frames]


def write_timed(path: Path, times_ms: list[int], options: dict[str, str] | None = None) -> None:
    """A file of numbered frames shown at the given times; the container by its suffix."""
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream("libx264", rate=1000, options={"crf": "1"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for time_ms, picture in zip(times_ms, numbered(len(times_ms)), strict=True):
            frame = VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = time_ms
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A playable file of 30 frames at 30 fps."""
    path = tmp_path_factory.mktemp("video") / "clip.mp4"
    write_playable(path, numbered(30), fps=30.0)
    return path


def test_probe_tells_what_was_written(clip: Path) -> None:
    """Size, rate, count, length, codec and container come from the header."""
    probe = probe_video(clip)
    assert (probe.width, probe.height, probe.frames, probe.rotation) == (64, 48, 30, 0)
    assert (probe.fps, probe.duration_seconds) == (30.0, 1.0)
    assert (probe.codec, probe.suffix) == ("h264", ".mp4")


def test_all_frames_come_in_order(clip: Path) -> None:
    """Without a rate every frame of the file comes once, in order."""
    frames = list(read_frames(clip))
    assert numbers(frames) == list(range(30))
    assert all(frame.shape == (48, 64, 3) and frame.dtype == np.uint8 for frame in frames)


@pytest.mark.parametrize(
    ("fps", "expected"),
    [
        (15.0, list(range(0, 30, 2))),
        (10.0, list(range(0, 30, 3))),
        (60.0, sorted([*range(30)] * 2)),
    ],
)
def test_rates_are_converted(clip: Path, fps: float, expected: list[int]) -> None:
    """Another rate drops or repeats frames: what a player shows at these times."""
    assert numbers(list(read_frames(clip, fps=fps))) == expected


@pytest.mark.parametrize("span", [(0.0, 0.5), (0.5, None), (0.2, 0.8), (0.9, 5.0)])
def test_spans_are_cut_exactly(clip: Path, span: tuple[float, float | None]) -> None:
    """A span holds the frames from its start up to, not including, its end."""
    frames = list(read_frames(clip, start_seconds=span[0], end_seconds=span[1]))
    assert numbers(frames) == list(range(round(span[0] * 30), min(30, round((span[1] or 1) * 30))))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_rate_becomes_constant(tmp_path: Path, suffix: str) -> None:
    """Time stamps decide: a frame shown twice as long is repeated, one shown briefly is skipped."""
    path = tmp_path / f"variable{suffix}"
    write_timed(path, [0, 100, 300, 400, 440, 500, 600])
    frames = numbers(list(read_frames(path, fps=10.0, end_seconds=0.65)))
    assert frames == [0, 1, 1, 2, 3, 5, 6]


def test_time_starts_at_the_first_frame(tmp_path: Path) -> None:
    """A file whose first time stamp is not 0 begins at 0 all the same."""
    path = tmp_path / "late.mkv"
    write_timed(path, [5000, 5100, 5200, 5300])
    assert numbers(list(read_frames(path, fps=10.0))) == [0, 1, 2, 3]


def test_pictures_are_shrunk_to_a_side(clip: Path) -> None:
    """``max_side`` bounds the longer side, keeps the shape, and never enlarges."""
    assert next(read_frames(clip, max_side=32)).shape == (24, 32, 3)
    assert next(read_frames(clip, max_side=500)).shape == (48, 64, 3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_files_come_upright(tmp_path: Path, degrees: int) -> None:
    """A phone's rotation mark is applied to the size and to the picture."""
    upright = np.zeros((48, 96, 3), np.uint8)
    upright[:16, :16] = (250, 20, 20)  # red in the top left corner
    stored = tmp_path / "stored.mp4"
    write_playable(stored, [np.rot90(upright, -degrees // 90)] * 5, fps=10.0)
    marked = tmp_path / "marked.mp4"
    with av.open(str(stored)) as source, av.open(str(marked), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        stream.set_display_rotation(degrees)
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    probe = probe_video(marked)
    assert (probe.width, probe.height, probe.rotation) == (96, 48, degrees)
    frame = next(read_frames(marked)).astype(int)
    assert np.abs(frame - upright)[4:12, 4:12].max() < 40
    assert frame[20:, 20:].max() < 40


def test_colours_survive(tmp_path: Path) -> None:
    """A picture written and read again keeps its colours within what H.264 at this rate loses."""
    y, x = np.mgrid[:96, :96]
    picture = np.stack([x * 2, y * 2, 255 - x - y], axis=-1).astype(np.uint8)
    write_playable(tmp_path / "a.mp4", [picture] * 3, fps=5.0)
    frame = next(read_frames(tmp_path / "a.mp4")).astype(int)
    assert np.abs(frame - picture).mean() < 2.5


def test_odd_sizes_are_padded_by_their_edge(tmp_path: Path) -> None:
    """A playable file has even sides; the added row and column repeat the edge."""
    write_playable(tmp_path / "odd.mp4", numbered(20, 47, 63), fps=30.0)
    frame = list(read_frames(tmp_path / "odd.mp4"))[16]
    assert frame.shape == (48, 64, 3)
    assert np.abs(frame.astype(int) - 128).max() <= 2


def test_playable_means_playable(clip: Path) -> None:
    """Browsers play H.264 in yuv420p with the index first; who made it is in the comment."""
    data = clip.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    with av.open(str(clip)) as container:
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
        assert container.metadata["comment"] == "Written by champ-pipeline"


def test_an_interrupted_write_leaves_no_file(tmp_path: Path) -> None:
    """A failing source of frames leaves what was there before."""

    def frames():
        yield from numbered(5)
        raise OSError("the renderer went away")

    (tmp_path / "a.mp4").write_bytes(b"the earlier one")
    with pytest.raises(OSError, match="renderer"):
        write_playable(tmp_path / "a.mp4", frames(), fps=30.0)
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"the earlier one"


@pytest.mark.parametrize(
    "frames",
    [[], [np.zeros((4, 4), np.uint8)], [np.zeros((4, 4, 3))], [*numbered(1), *numbered(1, 4, 4)]],
)
def test_wrong_frames_are_refused(tmp_path: Path, frames: list[np.ndarray]) -> None:
    """No frames, other shapes, types or sizes are the caller's mistake."""
    with pytest.raises(ValueError, match="frame"):
        write_playable(tmp_path / "a.mp4", frames, fps=30.0)
    assert list(tmp_path.iterdir()) == []


def test_files_that_lost_their_end_are_truncated(clip: Path, tmp_path: Path) -> None:
    """A cut MP4 is told from its index, before decoding; read anyway, it is no shorter video."""
    cut = tmp_path / "cut.mp4"
    data = clip.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    with pytest.raises(ItemError, match=r"probe\.truncated"):
        probe_video(cut)
    with pytest.raises(ItemError, match=r"decode\.(truncated|damaged)"):
        list(read_frames(cut))


def test_files_that_lost_their_index_are_truncated(tmp_path: Path) -> None:
    """A cut MP4 whose index stood at the end begins as one and cannot be opened."""
    whole, cut = tmp_path / "whole.mp4", tmp_path / "cut.mp4"
    write_timed(whole, list(range(0, 1000, 40)))
    data = whole.read_bytes()
    assert data.index(b"mdat") < data.index(b"moov")
    cut.write_bytes(data[: data.index(b"moov") - 8])
    with pytest.raises(ItemError, match=r"probe\.truncated"):
        probe_video(cut)


def test_cut_matroska_is_truncated(tmp_path: Path) -> None:
    """A cut MKV opens well; reading finds that it ends before its promised length."""
    whole, cut = tmp_path / "whole.mkv", tmp_path / "cut.mkv"
    write_timed(whole, list(range(0, 6000, 40)))
    data = whole.read_bytes()
    cut.write_bytes(data[: len(data) // 2])
    assert len(list(read_frames(whole, fps=25.0))) == 150
    with pytest.raises(ItemError, match=r"decode\.(truncated|damaged)"):
        list(read_frames(cut))


def test_no_video_at_all(tmp_path: Path) -> None:
    """Each kind of file that is no video has its own reason."""
    empty, text, picture = tmp_path / "e.mp4", tmp_path / "t.mp4", tmp_path / "p.mp4"
    empty.touch()
    text.write_text("This is not a video.\n" * 100)
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="image2pipe") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        container.mux(stream.encode(VideoFrame.from_ndarray(numbered(1)[0], format="rgb24")))
        container.mux(stream.encode(None))
    picture.write_bytes(buffer.getvalue())
    for path, kind in (
        (empty, "probe.empty"),
        (text, "probe.not_video"),
        (picture, "probe.not_video"),
        (tmp_path / "nowhere.mp4", "probe.missing"),
        (tmp_path, "probe.missing"),
    ):
        with pytest.raises(ItemError) as caught:
            probe_video(path)
        assert caught.value.kind == kind
        assert path.name in caught.value.message


def test_sound_alone_is_no_video(tmp_path: Path) -> None:
    """A sound file in a video container is told as such."""
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(ItemError, match=r"probe\.no_video_stream.*audio"):
        probe_video(path)


@pytest.mark.parametrize(
    "playlist",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{secret}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile '{secret}'\n",
        "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:1/inner\n",
    ],
)
def test_playlists_open_nothing(clip: Path, tmp_path: Path, playlist: str) -> None:
    """A playlist named .mp4 cannot make the reader open another file or address."""
    hostile = tmp_path / "hostile.mp4"
    hostile.write_text(playlist.format(secret=clip))
    with pytest.raises(ItemError, match=r"probe\.not_video"):
        probe_video(hostile)


@given(
    places=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=20),
    only_header=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_damage_is_bad_data_not_a_crash(
    clip: Path, places: list[tuple[float, int]], only_header: bool
) -> None:
    """Whatever bytes are changed, a file is read or refused as bad data; no other error comes."""
    data = bytearray(clip.read_bytes())
    reach = data.index(b"mdat") if only_header else len(data)
    for place, value in places:
        data[int(place * reach)] = value
    damaged = clip.with_name("damaged.mp4")
    damaged.write_bytes(data)
    with contextlib.suppress(ItemError):
        probe_video(damaged)
        assert next(read_frames(damaged)).dtype == np.uint8
        assert sum(1 for _ in islice(read_frames(damaged, fps=30.0), 500)) < 500


def test_huge_frames_are_refused_before_decoding(clip: Path) -> None:
    """A frame size over the bound is refused by the header alone."""
    with pytest.raises(ItemError, match=r"probe\.too_large"):
        probe_video(clip, max_pixels=64 * 48 - 1)


def test_a_span_past_the_end_is_an_error(clip: Path) -> None:
    """Asking for what the video does not have is no empty success."""
    with pytest.raises(ItemError, match=r"decode\.empty_span"):
        list(read_frames(clip, start_seconds=3.0))


@pytest.mark.parametrize("span", [(-1.0, None), (1.0, 1.0), (2.0, 1.0)])
def test_wrong_spans_are_the_callers_mistake(clip: Path, span: tuple[float, float | None]) -> None:
    """A span that is not ordered, or a rate of 0, is refused at the call already."""
    with pytest.raises(ValueError, match="span"):
        read_frames(clip, start_seconds=span[0], end_seconds=span[1])
    with pytest.raises(ValueError, match="fps"):
        read_frames(clip, fps=0.0)


def test_ffmpeg_agrees_on_real_video() -> None:
    """On a real clip at 10 fps our frames are those of the file's own frame numbers."""
    folder = Path(__file__).resolve().parents[4] / "shared" / "media"
    path = folder / "pos_jumpingjack.mp4"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    with av.open(str(path)) as container:
        own = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    ours = list(read_frames(path, fps=10.0))
    assert len(ours) == len(own[::3])
    for mine, theirs in zip(ours, own[::3], strict=True):
        assert np.abs(mine.astype(int) - theirs).mean() < 1.0
