"""A cartoon of a person, as flat as cartoons get: what must not be taken for footage."""

from __future__ import annotations

import cv2
import numpy as np

from benchmarks.curation_edits import Frames


def drawn_figure(size: tuple[int, int], count: int, fps: float) -> Frames:
    """A drawn man with outlines and flat colours who walks and waves before drawn hills."""
    width, height = size
    frames = []
    for index in range(count):
        seconds = index / fps
        frame = np.full((height, width, 3), (150, 205, 250), np.uint8)
        cv2.circle(frame, (width // 5, height // 4), height // 10, (255, 225, 90), -1)
        hills = (width * 3 // 4, height * 5 // 4), (width * 3 // 4, height * 2 // 3)
        cv2.ellipse(frame, *hills, 0, 0, 360, (110, 190, 90), -1, cv2.LINE_AA)
        cv2.rectangle(frame, (0, height * 3 // 4), (width, height), (90, 170, 70), -1)
        _draw_man(frame, (0.35 + 0.1 * seconds % 0.4) * width, seconds)
        frames.append(frame)
    return frames


def _draw_man(frame: np.ndarray, x: float, seconds: float) -> None:
    unit = frame.shape[0] / 10
    swing = np.sin(2 * np.pi * 1.2 * seconds)
    hip, neck = np.array([x, 5.8 * unit]), np.array([x, 3.2 * unit])

    def limb(start: np.ndarray, angle: float, length: float, colour: tuple[int, ...]) -> np.ndarray:
        end = start + length * unit * np.array([np.sin(angle), np.cos(angle)])
        ends = start.round().astype(int).tolist(), end.round().astype(int).tolist()
        cv2.line(frame, *ends, (30, 30, 30), round(0.62 * unit), cv2.LINE_AA)
        cv2.line(frame, *ends, colour, round(0.5 * unit), cv2.LINE_AA)
        return end

    for side in (-1, 1):
        knee = limb(hip + unit * np.array([0.25 * side, 0]), 0.5 * side * swing, 1.6, (60, 70, 160))
        limb(knee, 0.3 * side * swing - 0.2 * abs(swing), 1.6, (60, 70, 160))
        elbow = limb(neck + unit * np.array([0.7 * side, 0.3]), 0.7 * side, 1.2, (235, 190, 160))
        limb(elbow, side * (1.2 + 1.3 * abs(swing)), 1.1, (235, 190, 160))
    wide, narrow = np.array([0.9 * unit, 0]), np.array([0.6 * unit, 0])
    corners = [neck - wide, neck + wide, hip + narrow, hip - narrow]
    body = np.array(corners).round().astype(np.int32)
    cv2.fillPoly(frame, [body], (220, 60, 50), cv2.LINE_AA)
    cv2.polylines(frame, [body], True, (30, 30, 30), 2, cv2.LINE_AA)
    head = (round(x), round(2.3 * unit))
    cv2.circle(frame, head, round(0.85 * unit), (240, 200, 170), -1, cv2.LINE_AA)
    cv2.circle(frame, head, round(0.85 * unit), (30, 30, 30), 2, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (round(x + 0.3 * side * unit), round(2.15 * unit))
        cv2.circle(frame, eye, max(1, round(0.11 * unit)), (20, 20, 20), -1, cv2.LINE_AA)
    mouth = (round(x), round(2.5 * unit))
    cv2.ellipse(frame, mouth, (round(0.35 * unit), round(0.22 * unit)), 0, 0, 180, (120, 30, 30), 2)
