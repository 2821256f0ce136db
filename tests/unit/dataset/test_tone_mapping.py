"""Claims about high dynamic range as standard range, against the standards' own numbers."""

import numpy as np
import pytest

from dataset.tone_mapping import (
    PEAK_NITS,
    WHITE_NITS,
    hlg_scene,
    pq_code,
    pq_nits,
    rolled_off,
    to_standard_range,
)


@pytest.mark.parametrize(
    ("nits", "code"),
    [(0.0, 0.0), (100.0, 0.508), (203.0, 0.5807), (1000.0, 0.7518), (10000.0, 1.0)],
)
def test_pq_is_the_standards(nits: float, code: float) -> None:
    """The levels that BT.2100 and BT.2408 tabulate, both ways."""
    assert float(pq_code(np.array(nits))) == pytest.approx(code, abs=2e-4)
    assert float(pq_nits(pq_code(np.array(nits)))) == pytest.approx(nits, rel=1e-9)


@pytest.mark.parametrize(("code", "scene"), [(0.0, 0.0), (0.5, 1 / 12), (0.75, 0.265), (1.0, 1.0)])
def test_hlg_is_the_standards(code: float, scene: float) -> None:
    """BT.2100's joint at 1/12 and its white; BT.2408's reference white at 75 %."""
    assert float(hlg_scene(np.array(code))) == pytest.approx(scene, abs=1e-3)


def test_highlights_roll_off_and_nothing_else_changes() -> None:
    """Below the knee light stays; the peak becomes white; more light is never shown darker."""
    nits = np.geomspace(0.01, 10000, 2000)
    shown = rolled_off(nits)
    np.testing.assert_allclose(shown[nits < 88], nits[nits < 88], rtol=1e-6)
    assert float(rolled_off(np.array(PEAK_NITS))) == pytest.approx(WHITE_NITS)
    assert np.diff(shown).min() >= -1e-9
    assert shown.max() <= WHITE_NITS + 1e-9


def test_greys_stay_grey_at_their_light() -> None:
    """A PQ grey has the code whose light on a BT.1886 display is that of BT.2390's curve."""
    nits = np.geomspace(0.5, 2000, 60)
    codes = np.round(pq_code(nits) * 65535).astype(np.uint16)
    shown = to_standard_range(np.repeat(codes[None, :, None], 3, axis=2), "pq")[0]
    expected = 255 * (rolled_off(nits) / WHITE_NITS) ** (1 / 2.4)
    np.testing.assert_allclose(shown, np.repeat(expected[:, None], 3, axis=1), atol=0.75)


def test_hlg_and_pq_agree_on_the_same_light() -> None:
    """One grey scene, coded either way for a display of 1000 cd/m2, looks the same."""
    scene = np.linspace(0.01, 1, 50)
    hlg = np.where(
        scene <= 1 / 12,
        np.sqrt(3 * scene),
        0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073,
    )
    pq = pq_code(1000 * scene**1.2)
    shown = [
        to_standard_range(np.repeat((code * 65535).astype(np.uint16)[None, :, None], 3, 2), kind)
        for code, kind in ((hlg, "hlg"), (pq, "pq"))
    ]
    assert np.abs(shown[0].astype(int) - shown[1]).max() <= 1


@pytest.mark.parametrize("colour", [(1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0), (0.7, 0.4, 0.2)])
def test_colours_inside_bt709_survive(colour: tuple[float, float, float]) -> None:
    """A BT.709 colour, written in BT.2020 at 80 cd/m2, comes back as that colour."""
    linear = 80 * np.array(colour)
    to_2020 = np.array(  # BT.2087, table 2
        [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
    )
    code = np.round(pq_code(to_2020 @ linear) * 65535).astype(np.uint16)
    shown = to_standard_range(code[None, None], "pq")[0, 0]
    expected = 255 * (linear / WHITE_NITS) ** (1 / 2.4)
    np.testing.assert_allclose(shown, expected, atol=7)  # the tables have four decimals
    assert np.argmax(shown) == np.argmax(colour)
