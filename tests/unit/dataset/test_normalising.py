"""Claims about what cameras and editors store otherwise: it is told, and comes out as shown."""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.stream import Disposition
from av.video.frame import VideoFrame
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dataset.tone_mapping import WHITE_NITS, pq_code, rolled_off
from dataset.video import probe_video, read_frames, read_timed_frames
from tests.unit.dataset.foreign_videos import (
    grey_frames,
    marked_as_woven,
    plain_frame,
    rgb_frame,
    wide_range_frame,
    write_video,
)


def bar(moment: int, height: int = 96, width: int = 128) -> np.ndarray:
    """A bright bar on grey that moves 3 pixels a moment, with a soft edge."""
    x = np.arange(width) - 10 - 3 * moment
    row = 60 + 150 / (1 + np.exp(-x)) - 150 / (1 + np.exp(-(x - 24)))
    return np.repeat(np.broadcast_to(row.astype(np.uint8), (height, width))[..., None], 3, axis=2)


def woven(moment: int) -> np.ndarray:
    """Even lines of one moment, odd lines of the next, as a camera of 50 fields a second does."""
    frame = bar(moment).copy()
    frame[1::2] = bar(moment + 1)[1::2]
    return frame


@pytest.mark.parametrize(
    ("codec", "suffix", "options"),
    [
        ("libx264", ".mkv", {"crf": "4", "flags": "+ildct"}),
        ("mpeg2video", ".ts", {"b": "8M", "flags": "+ildct+ilme"}),
    ],
)
def test_interlaced_frames_are_made_whole(
    tmp_path: Path, codec: str, suffix: str, options: dict[str, str]
) -> None:
    """Half pictures of two moments are told apart: the error is a fraction of the weave's, and
    every frame keeps its place."""
    weaves = marked_as_woven([rgb_frame(woven(2 * n), "yuv420p") for n in range(12)])
    path = write_video(tmp_path / f"woven{suffix}", weaves, codec=codec, options=options)
    probe = probe_video(path)
    assert probe.interlaced
    frames = list(read_frames(path))
    assert len(frames) == len(weaves) == probe.frames
    for number in range(1, 11):
        truth = bar(2 * number).astype(int)
        ours = np.abs(frames[number] - truth)[8:-8].mean()
        weave = np.abs(woven(2 * number) - truth)[8:-8].mean()
        assert ours < 0.35 * weave


def test_progressive_frames_are_left_alone(tmp_path: Path) -> None:
    """What is not flagged as interlaced comes as it was stored, combs and all."""
    path = write_video(tmp_path / "plain.mkv", [rgb_frame(woven(2 * n)) for n in range(4)])
    assert not probe_video(path).interlaced
    np.testing.assert_array_equal(list(read_frames(path)), [woven(2 * n) for n in range(4)])


@pytest.mark.parametrize("nits", [1.0, 26.0, 80.0, 203.0, 600.0, 1000.0])
def test_a_pq_grey_has_its_light(tmp_path: Path, nits: float) -> None:
    """A patch of known light in a PQ file is shown as the standards' formulas say."""
    frame = wide_range_frame([float(pq_code(np.array(nits)))] * 3, transfer=16)
    path = write_video(tmp_path / "pq.mkv", [frame] * 2, prepare=lambda s: set_hdr(s, 16))
    assert probe_video(path).hdr == "pq"
    shown = next(read_frames(path))[16, 16]
    expected = 255 * float(rolled_off(np.array(nits)) / WHITE_NITS) ** (1 / 2.4)
    np.testing.assert_allclose(shown, expected, atol=2.0)  # 10 bits are coarser than our 8 there


def test_hlg_reference_white_is_pq_reference_white(tmp_path: Path) -> None:
    """75 % HLG and 58 % PQ are the same 203 cd/m2 (BT.2408): both files look alike."""
    shown = []
    for transfer, level in ((18, 0.75), (16, 0.5807)):
        path = write_video(
            tmp_path / f"{transfer}.mkv",
            [wide_range_frame([level] * 3, transfer)] * 2,
            prepare=lambda stream, transfer=transfer: set_hdr(stream, transfer),
        )
        shown.append(next(read_frames(path, max_side=16))[4, 4].astype(int))
    assert probe_video(tmp_path / "18.mkv").hdr == "hlg"
    assert np.abs(shown[0] - shown[1]).max() <= 1


def set_hdr(stream, transfer: int) -> None:
    """Mark a stream as BT.2020 with a transfer function."""
    context = stream.codec_context
    context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9
    context.color_range = 1


def test_what_is_transparent_shows_white(tmp_path: Path) -> None:
    """Alpha is composited on white, exactly, pixel by pixel."""
    random = np.random.default_rng(1)
    picture = random.integers(0, 256, (33, 47, 4), np.uint8)
    frame = VideoFrame.from_ndarray(picture, format="rgba").reformat(format="bgra")
    path = write_video(tmp_path / "alpha.mkv", [frame] * 2)
    probe = probe_video(path)
    assert (probe.alpha, probe.width, probe.height) == (True, 47, 33)
    share = picture[..., 3:] / 255
    expected = np.floor(picture[..., :3] * share + 255 * (1 - share) + 0.5)
    np.testing.assert_array_equal(next(read_frames(path)), expected)


def test_hidden_colours_do_not_bleed_when_shrunk(tmp_path: Path) -> None:
    """Transparent black around a white square stays invisible at any size."""
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[16:48, 16:48] = 255
    frame = VideoFrame.from_ndarray(picture, format="rgba").reformat(format="bgra")
    path = write_video(tmp_path / "square.mkv", [frame] * 2)
    assert next(read_frames(path, max_side=11)).min() >= 254


@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_a_webms_alpha_is_seen(tmp_path: Path, codec: str) -> None:
    """WebM keeps alpha beside the frames, where FFmpeg's own decoders do not look."""
    picture = np.zeros((64, 64, 4), np.uint8)
    picture[:, 32:] = (200, 30, 30, 255)
    frame = VideoFrame.from_ndarray(picture, format="rgba").reformat(format="yuva420p")
    path = write_video(
        tmp_path / "alpha.webm", [frame] * 3, codec=codec, options={"auto-alt-ref": "0", "b": "1M"}
    )
    assert probe_video(path).alpha
    shown = list(read_frames(path))
    assert len(shown) == 3
    assert shown[1][8:56, 4:24].min() > 240
    assert np.abs(shown[1][8:56, 40:60].astype(int) - (200, 30, 30)).max() < 25


def test_a_gifs_holes_show_white(tmp_path: Path) -> None:
    """A transparent GIF looks as it does on a white page."""
    picture = np.zeros((32, 32), np.uint8)
    frame = VideoFrame.from_ndarray(np.dstack([picture] * 3 + [picture]), format="rgba")
    frame = frame.reformat(format="bgra")
    path = tmp_path / "hole.gif"
    header = (
        b"GIF89a" + (32).to_bytes(2, "little") * 2 + b"\x80\x00\x00" + b"\x00" * 3 + b"\xff" * 3
    )
    control = b"\x21\xf9\x04\x01\x0a\x00\x00\x00"  # colour 0 is transparent
    image = b"\x2c" + b"\x00" * 4 + (4).to_bytes(2, "little") * 2 + b"\x00"
    data = b"\x02\x03\x44\x02\x05\x00"  # a few pixels; the rest of the canvas is empty
    path.write_bytes(header + (control + image + data) * 2 + b"\x3b")
    probe = probe_video(path)
    assert (probe.alpha, probe.width, probe.codec) == (True, 32, "gif")
    assert next(read_frames(path))[8:, 8:].min() == 255


@pytest.mark.parametrize("size", [(47, 63), (1, 33), (63, 2)])
@pytest.mark.parametrize("max_side", [None, 21])
def test_odd_sizes_stay_as_they_are(
    tmp_path: Path, size: tuple[int, int], max_side: int | None
) -> None:
    """No row or column is lost or added."""
    path = write_video(tmp_path / "odd.mkv", grey_frames([90] * 2, *size))
    assert (probe_video(path).height, probe_video(path).width) == size
    frame = next(read_frames(path, max_side=max_side))
    scale = 1 if max_side is None else min(1, max_side / max(size))
    assert frame.shape[:2] == tuple(max(1, round(side * scale)) for side in size)
    assert np.abs(frame.astype(int) - 90).max() <= 1


def test_pixels_that_are_not_square_are_stretched(tmp_path: Path) -> None:
    """An anamorphic picture (PAL DV: 16 by 15) gets the width it is shown at."""

    def set_aspect(stream) -> None:
        stream.sample_aspect_ratio = Fraction(64, 45)

    frames = grey_frames([90] * 2, 72, 90, "yuv420p")
    path = write_video(tmp_path / "wide.mp4", frames, codec="libx264", prepare=set_aspect)
    probe = probe_video(path)
    assert (probe.width, probe.height) == (128, 72)
    assert next(read_frames(path)).shape == (72, 128, 3)


def test_ten_bits_become_eight(tmp_path: Path) -> None:
    """10-bit standard range keeps its grey."""
    frame = plain_frame([502, 512, 512], "yuv444p10le")
    path = write_video(tmp_path / "ten.mkv", [frame] * 2)
    probe = probe_video(path)
    assert (probe.pixel_format, probe.hdr, probe.alpha) == ("yuv444p10le", "", False)
    assert np.abs(next(read_frames(path)).astype(int) - 128).max() <= 1


@pytest.mark.parametrize("default", [None, 0, 1])
def test_of_several_streams_the_default_one_is_read(tmp_path: Path, default: int | None) -> None:
    """The stream that is marked as default, else the first; the probe tells how many there are."""
    path = tmp_path / "several.mkv"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("ffv1", rate=25) for _ in range(2)]
        for number, stream in enumerate(streams):
            stream.width, stream.height, stream.pix_fmt = 32 + 16 * number, 32, "bgr0"
            stream.disposition = Disposition.default if number == default else Disposition.forced
        for moment in range(3):
            for stream in streams:
                (frame,) = grey_frames([90], 32, stream.width)
                frame.pts = moment
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    probe = probe_video(path)
    assert (probe.video_streams, probe.width) == (2, 32 + 16 * (default or 0))
    assert next(read_frames(path)).shape[1] == probe.width


@pytest.mark.parametrize("sound", [False, True])
def test_the_probe_tells_of_sound(tmp_path: Path, sound: bool) -> None:
    """A video without sound is as good as one with it."""
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "bgr0"
        audio = container.add_stream("pcm_s16le", rate=8000) if sound else None
        for moment, frame in enumerate(grey_frames([10, 20, 30])):
            frame.pts = moment
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), "s16", "mono")
            samples.sample_rate = 8000
            container.mux(audio.encode(samples))
            container.mux(audio.encode(None))
    assert probe_video(path).has_audio is sound
    assert [round(frame.mean()) for frame in read_frames(path)] == [10, 20, 30]


CONTAINERS = [(".mkv", "ffv1", "bgr0"), (".mov", "png", "rgb24"), (".avi", "ffv1", "bgr0")]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("rate", [10, 24, 30, 60, 240])
def test_a_constant_rate_is_told_as_one(
    tmp_path: Path, container: tuple[str, str, str], rate: int
) -> None:
    """Time stamps rounded to a container's ticks do not make a rate variable."""
    suffix, codec, pixel_format = container
    frames = grey_frames(range(0, 200, 5), pixel_format=pixel_format)
    path = write_video(tmp_path / f"even{suffix}", frames, codec=codec, rate=rate)
    probe = probe_video(path)
    assert not probe.variable_rate
    assert probe.fps == pytest.approx(rate, rel=0.01)


@pytest.mark.parametrize("container", CONTAINERS[:2])
def test_a_variable_rate_is_told(tmp_path: Path, container: tuple[str, str, str]) -> None:
    """Steps that differ by more than rounding are a variable rate."""
    times = [0, 33, 66, 100, 133, 250, 283, 316]
    suffix, codec, pixel_format = container
    frames = grey_frames(range(8), pixel_format=pixel_format)
    path = write_video(tmp_path / f"uneven{suffix}", frames, codec=codec, rate=1000, times=times)
    assert probe_video(path).variable_rate


def shown_at(times: list[int], moment: float, step: float) -> int:
    """The slow way: which frame a player shows, a quarter of a step early at the most."""
    begun = [
        index for index, time in enumerate(times) if (time - times[0]) / 1000 - step / 4 <= moment
    ]
    return begun[-1]


@given(
    gaps=st.lists(st.integers(5, 400), min_size=3, max_size=20),
    first=st.integers(0, 3000),
    fps=st.sampled_from([5.0, 12.5, 24.0, 25.0, 30.0]),
    start=st.sampled_from([0.0, 0.0, 0.25]),
)
@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_times_are_the_sources_own(
    tmp_path: Path, gaps: list[int], first: int, fps: float, start: float
) -> None:
    """At any rate every frame is the one a player shows then, with the file's own time stamp."""
    times = [first + sum(gaps[:count]) for count in range(len(gaps) + 1)]
    levels = [10 * (index + 1) for index in range(len(times))]
    path = write_video(tmp_path / "timed.mkv", grey_frames(levels, 8, 8), rate=1000, times=times)
    step = 1 / probe_video(path).fps
    end = (times[-1] - first) / 1000
    if end <= start:
        return
    read = list(read_timed_frames(path, fps=fps, start_seconds=start, end_seconds=end))
    assert len(read) == math.ceil((end - start) * fps - 1e-9)
    for number, (seconds, frame) in enumerate(read):
        index = shown_at(times, start + number / fps, step)
        assert frame[0, 0, 0] == levels[index]
        assert seconds == pytest.approx((times[index] - first) / 1000, abs=1e-9)


def test_a_frame_shown_again_is_the_same_array(tmp_path: Path) -> None:
    """Repeats cost no memory, and say which source frame they are."""
    path = write_video(tmp_path / "slow.mkv", grey_frames([10, 20, 30]), rate=5)
    read = list(read_timed_frames(path, fps=10.0))
    assert [seconds for seconds, _ in read] == pytest.approx([0, 0, 0.2, 0.2, 0.4, 0.4])
    assert read[0][1] is read[1][1]
    assert read[1][1] is not read[2][1]


def test_a_size_that_changes_midway_is_brought_to_the_first(tmp_path: Path) -> None:
    """A stream that goes on in another size is one video of one size."""
    parts = []
    for number, width in enumerate((64, 96)):
        frames = [rgb_frame(np.full((48, width, 3), 90, np.uint8), "yuv420p") for _ in range(10)]
        part = write_video(
            tmp_path / f"{number}.ts",
            frames,
            codec="mpeg2video",
            times=list(range(10 * number, 10 * number + 10)),
        )
        parts.append(part.read_bytes())
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(parts))
    assert {frame.shape for frame in read_frames(joined)} == {(48, 64, 3)}


@pytest.mark.parametrize("height", [360, 720])
def test_a_shrunk_picture_has_the_colours_of_the_whole_one(tmp_path, height):
    """Proxies go another way to RGB than whole pictures: unlabelled SD and HD keep their matrix."""
    rows = np.linspace(20, 230, height).astype(np.uint8)[:, None]
    columns = np.linspace(20, 230, height * 16 // 9).astype(np.uint8)[None]
    whole = np.stack(np.broadcast_arrays(rows, columns, 250 - rows), axis=2)
    path = tmp_path / "colours.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = whole.shape[1], height, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(whole), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    large = next(iter(read_frames(path)))
    small = next(iter(read_frames(path, max_side=whole.shape[1] // 2)))
    expected = cv2.resize(large, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - expected).mean() < 1.5
