"""The cluster files: what Ray and its autoscaler make of them, offline."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import load_config

REPOSITORY = Path(__file__).resolve().parents[3]
AWS = yaml.safe_load((REPOSITORY / "cluster.yaml").read_text())
KUBERAY = yaml.safe_load((REPOSITORY / "kuberay.yaml").read_text())


def _prepared(config: dict[str, Any]) -> dict[str, Any]:
    from ray.autoscaler._private.util import prepare_config, validate_config

    prepared = prepare_config(copy.deepcopy(config))
    validate_config(prepared)
    return prepared


def _kuberay_types(cluster: dict[str, Any]) -> dict[str, Any]:
    """The node types that Ray's autoscaler reads out of a RayCluster resource."""
    from ray.autoscaler._private.kuberay.autoscaling_config import (
        _derive_autoscaling_config_from_ray_cr,
    )

    return _derive_autoscaling_config_from_ray_cr(cluster)["available_node_types"]


def _groups() -> dict[str, dict[str, Any]]:
    return {group["groupName"]: group for group in KUBERAY["spec"]["workerGroupSpecs"]}


def _pods() -> list[dict[str, Any]]:
    spec = KUBERAY["spec"]
    return [group["template"]["spec"] for group in (spec["headGroupSpec"], *_groups().values())]


def test_ray_accepts_the_aws_file():
    """`ray up cluster.yaml` gets past Ray's own validation, with the three pools and the head."""
    types = _prepared(AWS)["available_node_types"]
    resources = {name: kind["resources"] for name, kind in types.items()}
    assert resources["head"]["CPU"] == 0
    assert resources["cpu_worker"] == {"CPU": 16}
    assert resources["gpu_worker"] == {"CPU": 16, "GPU": 1}
    assert resources["download_worker"] == {"CPU": 4, "download": 16}


def test_ray_refuses_a_broken_aws_file():
    """The check above can fail: a head node type that does not exist is refused."""
    with pytest.raises(ValueError, match="head_node_type"):
        _prepared(AWS | {"head_node_type": "nowhere"})


def test_aws_workers_are_spot_and_start_from_none():
    """Nothing is paid for without work, and a worker may be taken away at any time."""
    for name, kind in AWS["available_node_types"].items():
        assert kind["min_workers"] == 0
        market = kind["node_config"].get("InstanceMarketOptions", {}).get("MarketType")
        assert market == (None if name == "head" else "spot")


def test_only_aws_download_workers_can_have_cookies():
    """Neither another node's commands nor its instance profile reach the secret."""
    for name, kind in AWS["available_node_types"].items():
        has = name == "download_worker"
        assert ("cookies" in str(kind)) == has
        assert (kind["node_config"]["IamInstanceProfile"]["Name"] == "champ-download") == has
    shared = {key: value for key, value in AWS.items() if key != "available_node_types"}
    assert "cookies" not in str(shared)


def test_the_autoscaler_reads_the_kubernetes_file():
    """Ray's autoscaler finds the pools with their resources and bounds, and validates them."""
    types = _kuberay_types(KUBERAY)
    assert set(types) == {"headgroup", "download", "cpu", "gpu"}
    assert types["headgroup"]["resources"]["CPU"] == 0
    assert types["download"]["resources"]["download"] == 16
    assert types["cpu"]["resources"]["CPU"] == 15
    assert "GPU" not in types["cpu"]["resources"]
    assert types["gpu"]["resources"]["GPU"] == 1
    assert {(kind["min_workers"], kind["max_workers"]) for kind in types.values()} == {
        (0, 0),
        (0, 4),
        (0, 16),
        (0, 8),
    }
    assert KUBERAY["spec"]["enableInTreeAutoscaling"] is True


def test_the_autoscaler_refuses_a_broken_kubernetes_file():
    """The check above can fail: a group without any CPU is refused."""
    broken = copy.deepcopy(KUBERAY)
    container = broken["spec"]["workerGroupSpecs"][1]["template"]["spec"]["containers"][0]
    container["resources"] = {}
    with pytest.raises(ValueError, match="failed to detect `CPU`"):
        _kuberay_types(broken)


def test_every_pod_is_probed_and_has_shared_memory():
    """Ray's object store needs /dev/shm; Kubernetes restarts what does not answer."""
    for pod in _pods():
        container = pod["containers"][0]
        assert container["livenessProbe"]["httpGet"]["path"].endswith("_healthz")
        assert container["readinessProbe"]["httpGet"]["port"] in (8265, 52365)
        assert {"name": "shm", "mountPath": "/dev/shm"} in container["volumeMounts"]
        memory = next(volume for volume in pod["volumes"] if volume["name"] == "shm")
        assert memory["emptyDir"]["medium"] == "Memory"
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_secrets_of_kubernetes_are_referred_to_and_only_download_pods_mount_cookies():
    """The token is in a Secret; cookies are mounted, read-only, where fetch runs."""
    assert KUBERAY["spec"]["authOptions"] == {"mode": "token", "secretName": "champ-ray-token"}
    for name, group in _groups().items():
        assert ("champ-cookies" in str(group)) == (name == "download")
    mounts = _groups()["download"]["template"]["spec"]["containers"][0]["volumeMounts"]
    assert {"name": "cookies", "mountPath": "/secrets", "readOnly": True} in mounts
    assert "champ-cookies" not in str(KUBERAY["spec"]["headGroupSpec"])


def test_the_setting_that_the_cluster_files_name_is_one():
    """`--set job.resources=...`, as their comments have it, puts fetch on the download workers."""
    given = "{fetch: {download: 1}}"
    assert given in (REPOSITORY / "cluster.yaml").read_text()
    assert given in (REPOSITORY / "kuberay.yaml").read_text()
    config = load_config(None, [f"job.resources={given}"])
    assert config.job.resources == {"fetch": {"download": 1.0}}
