from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from transformers import VitPoseBackbone, VitPoseBackboneConfig

from rendering.hmr2.head import rotations_from_6d
from rendering.hmr2.network import Hmr2Network
from rendering.hmr2.settings import BackboneSettings, HeadSettings
from tests.unit.rendering.hmr2_networks import BACKBONE, compute_plainly, small_network


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


def published_shapes() -> dict[str, tuple[int, ...]]:
    """The network's names and shapes in the checkpoint of 4D-Humans, from its published sources."""
    shapes: dict[str, tuple[int, ...]] = {
        "backbone.pos_embed": (1, 193, 1280),
        "backbone.patch_embed.proj.weight": (1280, 3, 16, 16),
        "backbone.patch_embed.proj.bias": (1280,),
        "backbone.last_norm.weight": (1280,),
        "backbone.last_norm.bias": (1280,),
        "smpl_head.init_body_pose": (1, 144),
        "smpl_head.init_betas": (1, 10),
        "smpl_head.init_cam": (1, 3),
        "smpl_head.transformer.pos_embedding": (1, 1, 1024),
        "smpl_head.transformer.to_token_embedding.weight": (1024, 1),
        "smpl_head.transformer.to_token_embedding.bias": (1024,),
    }
    for name, size in (("decpose", 144), ("decshape", 10), ("deccam", 3)):
        shapes |= _linear(f"smpl_head.{name}", size, 1024)
    for block in range(32):
        at = f"backbone.blocks.{block}"
        shapes |= _norm(f"{at}.norm1", 1280) | _norm(f"{at}.norm2", 1280)
        shapes |= _linear(f"{at}.attn.qkv", 3840, 1280) | _linear(f"{at}.attn.proj", 1280, 1280)
        shapes |= _linear(f"{at}.mlp.fc1", 5120, 1280) | _linear(f"{at}.mlp.fc2", 1280, 5120)
    for layer in range(6):
        at = f"smpl_head.transformer.transformer.layers.{layer}"
        for part in range(3):
            shapes |= _norm(f"{at}.{part}.norm", 1024)
        shapes |= {
            f"{at}.0.fn.to_qkv.weight": (1536, 1024),
            f"{at}.1.fn.to_kv.weight": (1024, 1280),
            f"{at}.1.fn.to_q.weight": (512, 1024),
        }
        for part in (0, 1):
            shapes |= _linear(f"{at}.{part}.fn.to_out.0", 1024, 512)
        shapes |= _linear(f"{at}.2.fn.net.0", 1024, 1024)
        shapes |= _linear(f"{at}.2.fn.net.3", 1024, 1024)
    return shapes


def _linear(name: str, out: int, inp: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (out, inp), f"{name}.bias": (out,)}


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def test_the_full_network_has_the_published_names_and_shapes() -> None:
    """Built with the default sizes, every tensor is one of the published ones, and none is left."""
    with torch.device("meta"):
        network = Hmr2Network(BackboneSettings(), HeadSettings())
    ours = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    assert ours == published_shapes()


def test_the_full_network_takes_crops_of_256() -> None:
    """A batch of square crops gives 24 rotations, ten betas and a camera each."""
    with torch.device("meta"):
        network = Hmr2Network(BackboneSettings(), HeadSettings()).eval()
        guess = network(torch.zeros(2, 3, 256, 256))
    assert guess.rotations.shape == (2, 24, 3, 3)
    assert guess.betas.shape == (2, 10)
    assert guess.weak_camera.shape == (2, 3)


def test_the_network_computes_what_plain_formulas_say() -> None:
    """Both transformers equal a recomputation with loops over heads, patches and layers."""
    network = small_network().double()
    crops = torch.randn(2, 3, 256, 256, dtype=torch.float64, generator=seeded())
    guess = network(crops)
    pose, betas, camera = compute_plainly(network.state_dict(), crops)
    torch.testing.assert_close(guess.betas, betas)
    torch.testing.assert_close(guess.weak_camera, camera)
    torch.testing.assert_close(guess.rotations, rotations_from_6d(pose.unflatten(-1, (24, 6))))
    assert (guess.betas[0] - guess.betas[1]).abs().max() > 0.01


def test_the_backbone_is_vitposes() -> None:
    """transformers' ViTPose with the same weights gives the same tokens."""
    ours = small_network().double().backbone
    settings = VitPoseBackboneConfig(
        hidden_size=BACKBONE.width,
        num_hidden_layers=BACKBONE.depth,
        num_attention_heads=BACKBONE.heads,
        mlp_ratio=BACKBONE.mlp_ratio,
        layer_norm_eps=1e-6,
    )
    theirs = VitPoseBackbone(settings).eval().double()
    theirs.load_state_dict(_as_transformers(ours.state_dict()))
    crops = torch.randn(2, 3, 256, 192, dtype=torch.float64, generator=seeded())
    with torch.no_grad():
        expected = theirs(crops).feature_maps[-1]
    torch.testing.assert_close(ours(crops), expected)


def _as_transformers(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The backbone's weights under the names that transformers gives them."""
    named = {}
    for name, weight in weights.items():
        for theirs, our in (
            ("embeddings.position_embeddings", "pos_embed"),
            ("embeddings.patch_embeddings.projection", "patch_embed.proj"),
            ("encoder.layer", "blocks"),
            ("layernorm_before", "norm1"),
            ("layernorm_after", "norm2"),
            ("attention.output.dense", "attn.proj"),
            ("layernorm", "last_norm"),
        ):
            name = name.replace(our, theirs)
        if "attn.qkv" in name:
            for part, third in zip(("query", "key", "value"), weight.chunk(3), strict=True):
                named[name.replace("attn.qkv", f"attention.attention.{part}")] = third
        else:
            named[name] = weight
    return named


def test_the_strips_beside_the_backbones_view_do_not_matter() -> None:
    """The outer 32 columns of the square are not looked at; the next ones are."""
    network = small_network()
    crops = torch.randn(1, 3, 256, 256, generator=seeded())
    changed = crops.clone()
    changed[..., :32] = changed[..., 224:] = 5.0
    torch.testing.assert_close(network(changed).betas, network(crops).betas, rtol=0, atol=0)
    changed[..., 32:34] = 5.0
    assert (network(changed).betas - network(crops).betas).abs().max() > 1e-3


def test_six_numbers_are_the_first_two_columns() -> None:
    """The 6D of a rotation is its first column, then its second: it comes back from them."""
    rotation = torch.from_numpy(Rotation.from_euler("xyz", [0.3, -1.1, 2.0]).as_matrix())
    six = torch.cat([rotation[:, 0], rotation[:, 1]])
    torch.testing.assert_close(rotations_from_6d(six), rotation)
    identity = torch.tensor([1.0, 0, 0, 0, 1, 0])
    torch.testing.assert_close(rotations_from_6d(identity), torch.eye(3))


@given(st.lists(st.floats(-3, 3), min_size=6, max_size=6))
def test_any_six_numbers_give_a_rotation(numbers: list[float]) -> None:
    """Two vectors that are not parallel give an orthonormal right-handed matrix."""
    six = np.array(numbers)
    assume(np.linalg.norm(np.cross(six[:3], six[3:])) > 1e-2)
    rotation = rotations_from_6d(torch.from_numpy(six)).numpy()
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(rotation) == pytest.approx(1)


def test_heads_must_share_the_width() -> None:
    """A width that the heads cannot divide is refused."""
    with pytest.raises(ValueError, match="5 heads cannot share a width of 24"):
        BackboneSettings(width=BACKBONE.width, heads=5)
