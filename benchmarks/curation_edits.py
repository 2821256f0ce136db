"""What editors and platforms do to footage, on lists of RGB frames; each a closed function."""

from __future__ import annotations

import cv2
import numpy as np

Frames = list[np.ndarray]


def fitted(frame: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of a frame, filling ``size`` (width, height) without distortion."""
    height, width = frame.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    wide = max(size[0], round(width * scale)), max(size[1], round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    frame = cv2.resize(frame, wide, interpolation=how)
    x, y = (wide[0] - size[0]) // 2, (wide[1] - size[1]) // 2
    return np.ascontiguousarray(frame[y : y + size[1], x : x + size[0]])


def blended(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """``share`` of the second picture over the first."""
    return cv2.addWeighted(first, 1 - share, second, share, 0)


def faded(frames: Frames, count: int, level: int, *, at_end: bool) -> Frames:
    """The first or last ``count`` frames go from or to a grey level (0 black, 255 white)."""
    plain = np.full_like(frames[0], level)
    order = range(len(frames) - count, len(frames)) if at_end else range(count - 1, -1, -1)
    result = list(frames)
    for step, index in enumerate(order, 1):
        result[index] = blended(frames[index], plain, step / count)
    return result


def dissolved(before: Frames, after: Frames) -> Frames:
    """One shot goes over into the next; both are of one length."""
    count = len(before)
    pairs = zip(before, after, strict=True)
    return [blended(a, b, (k + 1) / (count + 1)) for k, (a, b) in enumerate(pairs)]


def flashed(frames: Frames, at: int, strengths: tuple[float, ...]) -> Frames:
    """A camera flash: so much white over each of the frames from ``at`` on."""
    result = list(frames)
    for index, strength in enumerate(strengths, at):
        result[index] = blended(frames[index], np.full_like(frames[index], 255), strength)
    return result


def captioned(frames: Frames, text: str, start: int, end: int) -> Frames:
    """A band with text over the lower quarter from one frame to another (exclusive)."""
    result = list(frames)
    height, width = frames[0].shape[:2]
    for index in range(start, end):
        frame = frames[index].copy()
        frame[height * 3 // 4 : height * 15 // 16] //= 4
        place = (width // 20, height * 7 // 8)
        scale = width / 500
        cv2.putText(frame, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, (255, 230, 40), 2)
        result[index] = frame
    return result


def bordered(frames: Frames, share: float) -> Frames:
    """Letterboxed: the picture shrunk between black bars of ``share`` of the height each."""
    height, width = frames[0].shape[:2]
    bar = round(share * height)
    result = []
    for frame in frames:
        framed = np.zeros_like(frame)
        inner = (width - 2 * bar * width // height, height - 2 * bar)
        x = (width - inner[0]) // 2
        framed[bar : height - bar, x : x + inner[0]] = cv2.resize(
            frame, inner, interpolation=cv2.INTER_AREA
        )
        result.append(framed)
    return result


def watermarked(frames: Frames, text: str) -> Frames:
    """A static mark in the upper left corner."""
    result = []
    for frame in frames:
        marked = frame.copy()
        scale = frame.shape[1] / 640
        place = (frame.shape[1] // 25, frame.shape[0] // 10)
        cv2.putText(marked, text, place, cv2.FONT_HERSHEY_DUPLEX, scale, (255, 255, 255), 2)
        result.append(marked)
    return result


def mirrored(frames: Frames) -> Frames:
    return [np.ascontiguousarray(frame[:, ::-1]) for frame in frames]


def panned(picture: np.ndarray, size: tuple[int, int], path: np.ndarray) -> Frames:
    """A camera's move over one picture.

    Args:
        picture: What is filmed.
        size: Width and height of the frames.
        path: frames x 3: middle (x, y) as shares of the picture, and the part of it in view.
    """
    height, width = picture.shape[:2]
    scale = min(width / size[0], height / size[1])
    result = []
    for x, y, part in path:
        zoom = scale * part
        half = zoom * size[0] / 2, zoom * size[1] / 2
        left = np.clip(x * width, half[0], width - half[0]) - half[0]
        top = np.clip(y * height, half[1], height - half[1]) - half[1]
        matrix = np.array([[zoom, 0, left], [0, zoom, top]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        result.append(cv2.warpAffine(picture, matrix, size, flags=flags))
    return result


def grainy(frames: Frames, sigma: float, rng: np.random.Generator) -> Frames:
    """Sensor noise of a standard deviation in grey levels."""
    return [
        np.clip(frame + rng.normal(0, sigma, frame.shape), 0, 255).astype(np.uint8)
        for frame in frames
    ]
