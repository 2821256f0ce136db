"""All scores of a clip, from frames through the meter, and what is said of those that are null."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from curation.scores.clip import Scores, picture_scores
from curation.scores.given_models import PictureScorer
from curation.scores.meter import Meter
from curation.settings import GivenModels
from dataset.schemas import SCHEMAS
from tests.unit.curation.scores.scenes import panned, person, textured

FPS, STRIDE = 30.0, 3


def _measured(frames: Sequence[np.ndarray], **more: dict[str, PictureScorer]) -> Meter:
    meter = Meter(fps=FPS, stride=STRIDE, **more)
    for number, frame in enumerate(frames):
        meter.add(frame)
        if number % STRIDE == 0:
            meter.look(number, frame, [])
    return meter


def _scores(frames: Sequence[np.ndarray], start: int = 0, end: int | None = None) -> Scores:
    measures = _measured(frames).measures()
    return picture_scores(measures, start, end or len(frames), fps=FPS, source_fps=FPS)


def _marked(frame: np.ndarray) -> np.ndarray:
    """With a half-transparent name in the corner, 150 x 25 pixels of 480 x 270."""
    written = frame.copy()
    cv2.putText(written, "@somebody", (12, 38), (255, 255, 255), cv2.FontFace("sans"), 26, 700)
    return cv2.addWeighted(written, 0.7, frame, 0.3, 0)


@pytest.fixture(scope="module")
def pan() -> list[np.ndarray]:
    """Two and a half seconds of a camera that goes 3 pixels of 480 a frame to the right."""
    return panned(textured(270, 720, grain_px=3), 75, 3.0, width=480)


def test_a_pan_through_the_meter(pan: list[np.ndarray]) -> None:
    """The camera's speed, no change beyond it, no overlay, no repeats, no loop."""
    found = _scores(pan)
    assert found["camera_motion"] == pytest.approx(3 / 480 * FPS, rel=0.02)
    assert found["static_camera_share"] == 0.0
    assert float(found["picture_motion"] or 0) < 0.01
    assert float(found["overlay_share"] or 0) < 0.002
    assert (found["repeated_share"], found["effective_fps"]) == (0.0, FPS)
    assert (found["slow_motion"], found["loop_seconds"]) == (1.0, 0.0)


def test_a_watermark_stays_while_the_camera_moves(pan: list[np.ndarray]) -> None:
    """A name in the corner covers about its own area of the picture."""
    share = _scores([_marked(frame) for frame in pan])["overlay_share"]
    assert isinstance(share, float)
    assert 0.3 < share / (150 * 25 / (480 * 270)) < 2.0


def test_a_watermark_stays_over_several_scenes() -> None:
    """The camera stands still in each; what all have in common is the mark, and else nothing."""
    scenes = [textured(270, 480, seed=seed, grain_px=3) for seed in range(4)]
    frames = [scene for scene in scenes for _ in range(60)]
    plain = _scores(frames, 60, 120)
    marked = _scores([_marked(frame) for frame in frames], 60, 120)
    assert float(plain["overlay_share"] or 0) < 0.002
    assert 0.01 < float(marked["overlay_share"] or 0) < 0.06


def test_what_cannot_be_told_is_null_and_says_so() -> None:
    """One scene of a still camera: mark or poster? No networks: no indoor and aesthetic score."""
    found = _scores([_marked(textured(270, 480))] * 75)
    assert [found[name] for name in ("overlay_share", "indoor", "aesthetic")] == [None] * 3
    skipped = str(found["skipped_scores"])
    assert skipped.count(";") == 2
    assert all(name in skipped for name in ("overlay_share", "indoor", "aesthetic"))


def test_motion_across_a_cut_is_nobodys(pan: list[np.ndarray]) -> None:
    """A clip after a cut begins with a picture that has nothing to do with the one before."""
    still = textured(270, 480, seed=8)
    found = _scores([*pan, *([still] * 45)], 76, 120)
    assert (found["camera_motion"], found["static_camera_share"]) == (0.0, 1.0)
    assert found["picture_motion"] == 0.0
    assert found["repeated_share"] == 1.0


def test_a_slow_source_keeps_its_speed(pan: list[np.ndarray]) -> None:
    """Every picture shown six times: 5 new ones a second, and the camera as fast as it is."""
    found = _scores([frame for frame in pan[::6] for _ in range(6)])
    assert found["effective_fps"] == pytest.approx(5, abs=0.5)
    assert found["camera_motion"] == pytest.approx(3 / 480 * FPS, rel=0.02)
    assert found["static_camera_share"] == 0.0


@pytest.mark.parametrize("size", [(1, 1), (1, 200), (40, 3), (270, 480)])
@pytest.mark.parametrize("level", [0, 90, 255])
@pytest.mark.parametrize("count", [1, 2, 20])
def test_degenerate_frames_have_scores(size: tuple[int, int], level: int, count: int) -> None:
    """One pixel, a line, all black: numbers within bounds, and columns of the table."""
    frames = [np.full((*size, 3), level, np.uint8)] * count
    found = _scores(frames)
    assert set(found) <= set(SCHEMAS["clips"].names)
    shares = [value for name, value in found.items() if name.endswith("_share")]
    assert all(value is None or 0 <= float(value) <= 1 for value in shares)
    numbers = [value for value in found.values() if isinstance(value, float)]
    assert np.isfinite(numbers).all()


def test_people_outside_of_the_picture_are_no_error(pan: list[np.ndarray]) -> None:
    """Boxes may reach beyond the frame, and be empty."""
    meter = Meter(fps=FPS, stride=1)
    for number, frame in enumerate(pan[:3]):
        meter.add(frame)
        meter.look(number, frame, [person((-50, -50, 900, 900)), person((10, 10, 10, 10))])
    flows = meter.measures().looks[2].flows
    assert len(flows) == 2
    assert flows[1] is None


def test_a_given_network_scores_the_clip(tmp_path: Path, pan: list[np.ndarray]) -> None:
    """Its number is in the row, and its name no longer among those skipped."""

    class Brightness(PictureScorer):
        def __init__(self) -> None:
            """Nothing to load."""

        def __call__(self, frame: np.ndarray) -> float:
            return float(frame.mean()) / 255

    assert GivenModels().files == []
    measures = _measured(pan[:31], scorers={"indoor": Brightness()}).measures()
    found = picture_scores(measures, 0, 31, fps=FPS, source_fps=FPS)
    assert found["indoor"] == pytest.approx(0.5, abs=0.05)
    assert "indoor" not in str(found["skipped_scores"])
