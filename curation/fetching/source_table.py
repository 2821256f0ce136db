"""The ``sources`` table: every usable row of every manifest, so that a retry needs no manifest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from curation.fetching.sources import Source
from curation.fetching.urls import has_secrets, without_secrets
from dataset.storage import Location
from dataset.tables import commit, committed, read_table, write_shard


def store_sources(root: Location, sources: Sequence[Source]) -> bool:
    """Add a manifest's rows in one transaction, without what gives access.

    Returns:
        False when there is nothing to add: the same rows were added before.
    """
    rows = [_row(source) for source in sources]
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]
    app = f"sources-{digest}"
    if not rows or committed(root, "sources", app=app):
        return False
    named = [{**row, "recipe": digest} for row in rows]
    shard = write_shard(root, "sources", named, name=app)
    return commit(root, "sources", [shard], app=app)


def stored_sources(root: Location) -> list[dict[str, Any]]:
    """The newest row of every source, as the fetch stage takes it, with ``needs_manifest``."""
    rows = read_table(root, "sources").sort_by("created_at").to_pylist()
    return list({row["source_id"]: row for row in rows}.values())


def _row(source: Source) -> Mapping[str, object]:
    item = source.as_item()
    if source.url is None:
        return {**item, "needs_manifest": False}
    url, incomplete = without_secrets(source.url), has_secrets(source.url)
    return {**item, "url": url, "needs_manifest": incomplete}
