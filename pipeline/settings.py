"""How jobs run."""

from __future__ import annotations

from pydantic import Field

from dataset.settings import Settings


class JobSettings(Settings):
    """Workers, shards and retries, the same for every job."""

    workers: int = Field(
        default=0, ge=0, description="Worker processes; 0: as many as the cluster's CPUs"
    )
    items_per_shard: int = Field(
        default=8,
        ge=1,
        description="Items a worker takes at a time and writes into one Parquet file",
    )
    gpus: float = Field(
        default=0.0,
        ge=0,
        description="GPUs a worker of encode and animate gets; 0: they run on the CPU",
    )
    render_gpus: float = Field(
        default=0.0,
        ge=0,
        description="The same of render, which uses one for HMR2 and OpenGL; a share will do",
    )
    attempts: int = Field(
        default=3,
        ge=1,
        description="Workers that an item may kill, alone with it, before it is quarantined",
    )
    commit_seconds: float = Field(
        default=5.0, ge=0, description="At least so long between two commits"
    )
    resources: dict[str, dict[str, float]] = Field(
        default={},
        description="Custom resources of Ray that a worker of a job needs, by job, such as "
        "{fetch: {download: 1}}: it then runs only on nodes that were given them",
    )
    start_seconds: float = Field(
        default=900.0,
        ge=0,
        description="How long a cluster may have no node with room for a worker, before the job "
        "gives up; an autoscaler takes minutes to start one",
    )
