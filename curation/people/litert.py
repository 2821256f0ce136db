"""Runs a ``.tflite`` network on one picture; the only file that imports the runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter


class Network:
    """A network with one picture as input, on one thread (so that runs repeat to the bit).

    ``outputs`` of a call are in the order of the file, without their batch dimension, and copied.
    """

    def __init__(self, path: Path) -> None:
        self._interpreter = Interpreter(str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        picture = self._interpreter.get_input_details()[0]
        self._input = picture["index"]
        outputs = self._interpreter.get_output_details()
        self._outputs = [output["index"] for output in outputs]
        self.input_shape = tuple(int(side) for side in picture["shape"])
        self.input_type = picture["dtype"]
        self.output_shapes = [tuple(int(side) for side in output["shape"]) for output in outputs]

    @property
    def size(self) -> int:
        """Height and width of the input, pixels."""
        return self.input_shape[1]

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        """Args: picture: ``size`` x ``size`` x 3 float32 in the range the network was made for."""
        self._interpreter.set_tensor(self._input, picture[None])
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(index)[0] for index in self._outputs]
