"""The contact sheet of the skeleton's parts: every limb, joint and edge of a hand in its own cell.

    python -m tests.unit.rendering.skeleton_sheet

writes ``tests/golden/skeleton_parts.png`` anew. Look at it before you commit it.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from dataset.records import BODY_POINTS, FACE_POINTS
from rendering.skeleton import HAND_EDGES, LIMBS, OPENPOSE_POINTS, draw_dwpose

GOLDEN = Path(__file__).parents[2] / "golden" / "skeleton_parts.png"
CELL = 72
_LABEL, _COLUMNS = 12, 8
_SHORT = {"left": "L", "right": "R", "shoulder": "shldr"}


def parts() -> dict[str, np.ndarray]:
    """The 133 points of every cell by its label: only what the part needs is seen.

    The neck needs both shoulders, and so brings their limbs with it.
    """
    cells = {}
    for number, limb in enumerate(LIMBS):
        cells[f"{number + 1} {_name(limb[0])}-{_name(limb[1])}"] = _pair(*limb)
    for name in OPENPOSE_POINTS:
        cells[_name(name)] = _body(**{name: (36, 36)})
    for number, (start, end) in enumerate(HAND_EDGES):
        points = np.zeros((133, 3), np.float32)
        first = 91 if number % 2 else 112  # left and right hand in turn
        points[first + start], points[first + end] = (14, 50, 1), (58, 22, 1)
        cells[f"hand {start}-{end}"] = points
    face = np.zeros((133, 3), np.float32)
    around = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    face[FACE_POINTS] = np.stack(
        [36 + 22 * np.sin(around), 36 + 28 * np.cos(around), 1 + 0 * around], 1
    )
    cells["face"] = face
    return cells


def cells_of(sheet: np.ndarray) -> dict[str, np.ndarray]:
    """The drawings of a sheet by label, without the labels."""
    cells = {}
    for index, label in enumerate(parts()):
        row, column = divmod(index, _COLUMNS)
        top, left = row * (CELL + _LABEL), column * CELL
        cells[label] = sheet[top : top + CELL, left : left + CELL]
    return cells


def contact_sheet() -> np.ndarray:
    """All cells with a label under each, RGB."""
    drawings = parts()
    rows = -(-len(drawings) // _COLUMNS)
    sheet = np.zeros((rows * (CELL + _LABEL), _COLUMNS * CELL, 3), np.uint8)
    for index, (label, points) in enumerate(drawings.items()):
        row, column = divmod(index, _COLUMNS)
        top, left = row * (CELL + _LABEL), column * CELL
        sheet[top : top + CELL, left : left + CELL] = draw_dwpose(points[None], CELL, CELL)[0]
        corner = (left + 2, top + CELL + _LABEL - 3)
        cv2.putText(sheet, label, corner, cv2.FONT_HERSHEY_PLAIN, 0.6, (160, 160, 160))
    return sheet


def _pair(start: str, end: str) -> np.ndarray:
    """Only a limb's two ends seen; where one is the neck, both shoulders too."""
    if {start, end} == {"neck", "left_shoulder"} or {start, end} == {"neck", "right_shoulder"}:
        return _body(neck=(36, 30))
    if start == "neck":
        return _body(neck=(36, 12), **{end: (36, 62)})
    return _body(**{start: (14, 50), end: (58, 22)})


def _body(**places: tuple[float, float]) -> np.ndarray:
    points = np.zeros((133, 3), np.float32)
    if "neck" in places:
        x, y = places.pop("neck")
        places |= {"left_shoulder": (x + 24, y + 4), "right_shoulder": (x - 24, y - 4)}
    for name, place in places.items():
        points[BODY_POINTS.index(name)] = (*place, 1)
    return points


def _name(point: str) -> str:
    return " ".join(_SHORT.get(word, word) for word in point.split("_"))


if __name__ == "__main__":
    cv2.imwrite(str(GOLDEN), contact_sheet()[..., ::-1])
