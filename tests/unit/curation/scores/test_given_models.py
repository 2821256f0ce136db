"""Networks that the user gives: what goes in, what comes out, and what is refused."""

from __future__ import annotations

from pathlib import Path

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as tflite

from curation.scores.given_models import PictureScorer, load_scorers
from curation.settings import GivenModels
from dataset.assets import asset_path
from tests.unit.curation.sample_media import sample


def _network(
    path: Path, *, axes: list[int], input_shape: list[int], output_shape: list[int]
) -> Path:
    """A .tflite file that takes the mean of its input over some axes."""
    model = tflite.ModelT()
    model.version = 3
    model.buffers = [tflite.BufferT(), tflite.BufferT()]
    model.buffers[1].data = np.frombuffer(np.array(axes, np.int32).tobytes(), np.uint8)
    code = tflite.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = tflite.BuiltinOperator.MEAN
    model.operatorCodes = [code]
    graph = tflite.SubGraphT()
    graph.tensors = [
        _tensor("picture", input_shape, tflite.TensorType.FLOAT32, 0),
        _tensor("axes", [len(axes)], tflite.TensorType.INT32, 1),
        _tensor("score", output_shape, tflite.TensorType.FLOAT32, 0),
    ]
    mean = tflite.OperatorT()
    mean.opcodeIndex, mean.inputs, mean.outputs = 0, [0, 1], [2]
    mean.builtinOptionsType = tflite.BuiltinOptions.ReducerOptions
    mean.builtinOptions = tflite.ReducerOptionsT()
    mean.builtinOptions.keepDims = False
    graph.operators, graph.inputs, graph.outputs = [mean], [0], [2]
    model.subgraphs = [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _tensor(name: str, shape: list[int], kind: int, buffer: int) -> tflite.TensorT:
    tensor = tflite.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.buffer = name, shape, kind, buffer
    return tensor


def test_a_network_sees_the_whole_picture_in_0_to_1(tmp_path: Path) -> None:
    """A network that takes the mean: half white, a quarter white, and black."""
    path = _network(
        tmp_path / "mean.tflite", axes=[1, 2, 3], input_shape=[1, 8, 8, 3], output_shape=[1]
    )
    scorer = load_scorers(GivenModels(indoor=path))["indoor"]
    picture = np.zeros((40, 80, 3), np.uint8)
    assert scorer(picture) == 0.0
    picture[:, :40] = 255
    assert scorer(picture) == pytest.approx(0.5)
    assert scorer(picture[:, 20:]) == pytest.approx(1 / 3, abs=0.05)


def test_ratings_become_their_mean(tmp_path: Path) -> None:
    """Ten equal shares of the ratings 1 to 10: the rating is 5.5."""
    path = _network(
        tmp_path / "ratings.tflite", axes=[1, 3], input_shape=[1, 10, 10, 3], output_shape=[1, 10]
    )
    assert PictureScorer(path, name="aesthetic")(
        np.full((5, 5, 3), 200, np.uint8)
    ) == pytest.approx(5.5)


def test_networks_that_are_not_given_have_no_scorer() -> None:
    """None by default, and none in the recipe."""
    assert load_scorers(GivenModels()) == {}
    assert GivenModels().files == []


def test_wrong_files_are_refused_by_name(tmp_path: Path) -> None:
    """Missing, no network, and networks of another input or output: each is told."""
    with pytest.raises(ValueError, match=r"indoor.*no file"):
        load_scorers(GivenModels(indoor=tmp_path / "none.tflite"))
    (tmp_path / "text.tflite").write_text("not a network")
    with pytest.raises(ValueError, match=r"aesthetic.*cannot be loaded"):
        load_scorers(GivenModels(aesthetic=tmp_path / "text.tflite"))
    sample("mediapipe/pose_detection")
    with pytest.raises(ValueError, match=r"indoor.*goes from"):
        load_scorers(GivenModels(indoor=asset_path("mediapipe/pose_detection")))
    grey = _network(
        tmp_path / "grey.tflite", axes=[1, 2, 3], input_shape=[1, 8, 8, 1], output_shape=[1]
    )
    with pytest.raises(ValueError, match=r"goes from"):
        load_scorers(GivenModels(indoor=grey))
    oblong = _network(tmp_path / "oblong.tflite", axes=[1], input_shape=[1, 8], output_shape=[1])
    with pytest.raises(ValueError, match=r"goes from"):
        load_scorers(GivenModels(indoor=oblong))
