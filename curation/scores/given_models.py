"""Scores of networks that the user gives as files: indoors or outdoors, and how pleasing."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from curation.people.litert import Network
from curation.settings import GivenModels

_RATINGS = 10  # NIMA (Talebi and Milanfar, 2018) gives the shares of the ratings 1 to 10


def load_scorers(models: GivenModels) -> dict[str, PictureScorer]:
    """The given networks by the name of their score.

    Raises:
        ValueError: A file is not there, is no network, or is one of another input or output.
    """
    named = {"indoor": models.indoor, "aesthetic": models.aesthetic}
    return {
        name: PictureScorer(path, name=name) for name, path in named.items() if path is not None
    }


class PictureScorer:
    """A network that makes one number of a picture.

    Raises:
        ValueError: The file is not there or no network, or one of another input or output.
    """

    def __init__(self, path: Path, *, name: str) -> None:
        wanted = f"{name} wants a .tflite network from 1 x side x side x 3 float32 to one number"
        if not path.is_file():
            raise ValueError(f"{wanted}; there is no file {path}")
        try:
            self._network = Network(path)
        except (ValueError, RuntimeError) as error:
            raise ValueError(f"{wanted}; {path} cannot be loaded: {error}") from error
        shape, outputs = self._network.input_shape, self._network.output_shapes
        square = len(shape) == 4 and shape == (1, shape[1], shape[1], 3)
        square = square and self._network.input_type == np.float32
        if not (square and len(outputs) == 1 and np.prod(outputs[0]) in (1, _RATINGS)):
            raise ValueError(
                f"{wanted} or {_RATINGS} ratings; {path} goes from {shape} to {outputs}"
            )

    def __call__(self, frame: UInt8[np.ndarray, "height width 3"]) -> float:
        """The network's number; the mean rating where it gives the shares of ratings."""
        side = self._network.size
        square = cv2.resize(frame, (side, side), interpolation=cv2.INTER_AREA)
        (output,) = self._network(square.astype(np.float32) / 255)
        values = output.ravel()
        if len(values) == _RATINGS:
            return float(values @ np.arange(1, _RATINGS + 1) / max(values.sum(), 1e-9))
        return float(values[0])
