"""The cluster file is one that Ray accepts."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

CLUSTER = Path(__file__).resolve().parents[3] / "cluster.yaml"


def _validate(config: dict) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    validate_config(prepare_config(config))


def test_ray_accepts_the_cluster_file():
    """`ray up cluster.yaml` gets past Ray's own validation."""
    _validate(yaml.safe_load(CLUSTER.read_text()))


def test_ray_refuses_a_broken_cluster_file():
    """The check above can fail: a head node type that does not exist is refused."""
    config = yaml.safe_load(CLUSTER.read_text()) | {"head_node_type": "nowhere"}
    with pytest.raises(ValueError, match="head_node_type"):
        _validate(config)
