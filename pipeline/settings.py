"""How jobs run, wherever they run."""

from __future__ import annotations

from pydantic import Field

from dataset.settings import Settings


class JobSettings(Settings):
    """Workers, shards and retries, the same for every job."""

    workers: int = Field(0, ge=0, description="Worker processes; 0: as many as the cluster's CPUs")
    items_per_shard: int = Field(
        8, ge=1, description="Items a worker takes at a time and writes into one Parquet file"
    )
    attempts: int = Field(
        3, ge=1, description="How often an item may kill its worker before it is quarantined"
    )
    commit_seconds: float = Field(5.0, ge=0, description="At least so long between two commits")
