from __future__ import annotations

import os
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import pytest
import torch
from safetensors.torch import save_file

from rendering.hmr2.checkpoint import load_network
from rendering.hmr2.network import Hmr2Network
from rendering.hmr2.regressor import Hmr2Regressor
from rendering.hmr2.settings import Hmr2Settings
from tests.unit.rendering.hmr2_networks import BACKBONE, HEAD, small_network

BESIDE = {
    "smpl.v_template": torch.zeros(6890, 3),
    "discriminator.D_conv1.weight": torch.zeros(32, 9, 1, 1),
    "initialized": torch.tensor(False),
}


class Trap:
    """An object whose pickle calls something when it is read."""

    def __init__(self, function: object, argument: str) -> None:
        self.function, self.argument = function, argument

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return self.function, (self.argument,)


def save(path: Path, network: Hmr2Network, **others: object) -> Path:
    """A Lightning checkpoint: the weights, what lies beside them, and other entries."""
    content = {"state_dict": {**network.state_dict(), **BESIDE}, "epoch": 35, **others}
    torch.save(content, path)
    return path


def load(path: Path) -> Hmr2Network:
    return load_network(path, BACKBONE, HEAD)


def assert_same(ours: Hmr2Network, theirs: Hmr2Network) -> None:
    torch.testing.assert_close(dict(ours.state_dict()), dict(theirs.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize("suffix", [".ckpt", ".safetensors"])
def test_weights_come_back_as_they_were(tmp_path: Path, suffix: str) -> None:
    """Either file gives the same network, in float32 and without gradients."""
    network, path = small_network(), tmp_path / f"hmr2{suffix}"
    if suffix == ".ckpt":
        save(path, network)
    else:
        save_file({**network.state_dict(), **BESIDE}, path)
    loaded = load(path)
    assert_same(loaded, network)
    assert not loaded.training
    assert not any(weight.requires_grad for weight in loaded.parameters())


def test_half_precision_becomes_single(tmp_path: Path) -> None:
    """A file in float16 is computed with in float32."""
    network = small_network()
    path = save(tmp_path / "half.ckpt", small_network().half())
    assert_same(load(path), network.half().float())


def test_the_training_configuration_beside_the_weights_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hydra's and yacs' objects, which the published file holds, are read past without their
    libraries."""
    names = ("omegaconf.dictconfig.DictConfig", "omegaconf.nodes.AnyNode", "yacs.config.CfgNode")
    config, node, yacs = (_make_class(monkeypatch, name) for name in names)
    configured, plain, options = config(), node(), yacs()
    plain.__dict__.update(_val=256, object_type=int)
    configured.__dict__.update(_content={"IMAGE_SIZE": plain}, cache=defaultdict(dict))
    options["MODEL"] = {"TYPE": "vit"}
    options.__dict__["__immutable__"] = True
    hyper = {"cfg": configured, "dataset_cfg": options, "data": Path("/data/tars")}
    path = save(tmp_path / "full.ckpt", small_network(), hyper_parameters=hyper)
    for module in ("omegaconf", "omegaconf.dictconfig", "omegaconf.nodes", "yacs", "yacs.config"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    assert_same(load(path), small_network())


def _make_class(monkeypatch: pytest.MonkeyPatch, full_name: str) -> type:
    """A class that pickles under this name, of a module that need not be installed."""
    module_name, _, name = full_name.rpartition(".")
    module = ModuleType(module_name)
    kind = type(name, (dict,) if name == "CfgNode" else (), {"__module__": module_name})
    setattr(module, name, kind)
    monkeypatch.setitem(sys.modules, module_name.partition(".")[0], ModuleType("package"))
    monkeypatch.setitem(sys.modules, module_name, module)
    return kind


@pytest.mark.parametrize("function", [os.system, eval])
def test_a_pickle_that_calls_something_is_refused(tmp_path: Path, function: object) -> None:
    """Nothing is called, and the error says what to do instead."""
    mark = tmp_path / "called"
    argument = f"touch {mark}" if function is os.system else f"open({str(mark)!r}, 'w')"
    path = save(tmp_path / "evil.ckpt", small_network(), callbacks=Trap(function, argument))
    with pytest.raises(ValueError, match=r"evil.ckpt cannot be read as weights alone.*safetensors"):
        load(path)
    assert not mark.exists()


def test_names_and_shapes_that_differ_are_all_listed(tmp_path: Path) -> None:
    """What is missing, what is not the network's, and what has another shape, each by name."""
    weights = dict(small_network().state_dict())
    del weights["backbone.blocks.1.attn.qkv.bias"]
    del weights["smpl_head.init_cam"]
    weights["smpl_head.decpose_lora.weight"] = torch.zeros(3)
    weights["backbone.pos_embed"] = torch.zeros(1, 197, 24)
    save_file(weights, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="not an HMR2 checkpoint of these sizes") as error:
        load(tmp_path / "other.safetensors")
    message = str(error.value)
    assert "missing ['backbone.blocks.1.attn.qkv.bias', 'smpl_head.init_cam']" in message
    assert "unexpected ['smpl_head.decpose_lora.weight']" in message
    assert "backbone.pos_embed (1, 197, 24) instead of (1, 193, 24)" in message


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", [1, 2], {"state_dict": {"a": 1}}])
def test_a_file_that_holds_no_weights_says_so(tmp_path: Path, content: object) -> None:
    """Rubbish, an empty file, and a pickle of something else are a caller's mistakes."""
    path = tmp_path / "wrong.ckpt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(ValueError, match=r"wrong.ckpt (cannot be read|holds no 'state_dict')"):
        load(path)


def test_without_a_checkpoint_the_error_names_the_setting(tmp_path: Path) -> None:
    """No path, and a path to nothing, say what is needed and where to read on."""
    with pytest.raises(ValueError, match=r"set render\.hmr2\.checkpoint"):
        Hmr2Regressor(Hmr2Settings())
    with pytest.raises(ValueError, match=r"no HMR2 checkpoint at .*nowhere.ckpt.*runbook"):
        Hmr2Regressor(Hmr2Settings(checkpoint=tmp_path / "nowhere.ckpt"))
