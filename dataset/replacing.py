"""Whole tables that are made anew: the rows of a recipe give place to others, in one transaction.

For narrow tables whose rows depend on all rows of another one, such as decisions with quotas.
"""

from __future__ import annotations

from dataset.delta import Change, LiveFiles, live_files_of, newest_transaction, transact
from dataset.leases import Fence
from dataset.shards import ShardFile, describe, table_schema
from dataset.storage import Location


def replace_rows(
    root: Location, table: str, shard: ShardFile, *, recipe: str, fence: Fence | None = None
) -> None:
    """Put a shard in the place of all rows of its recipe, durable when this returns.

    Readers see the rows from before or those of the shard, never both and never none. One process
    at a time (``dataset.locks``) may do so for a recipe. The files that are left out stay on the
    disk until they are swept.

    Args:
        root: The dataset root.
        table: A table of ``SCHEMAS``.
        shard: From ``write_shard``, with rows of ``recipe`` alone.
        recipe: Whose rows are replaced.
        fence: The right to commit, where it can be lost.

    Raises:
        ValueError: The shard was changed since it was written, or a file of the table holds rows
            of this recipe together with those of others.
        LockLostError: Another process has taken over, see ``dataset.delta.transact``.
    """
    schema = table_schema(table)
    if describe(root / table, table, shard.path) != shard:
        raise ValueError(f"{table}/{shard.path} was changed since it was written: {shard}")

    def plan(live: LiveFiles) -> Change:
        old = [path for path in files_of_recipe(live, table, recipe) if path != shard.path]
        return Change(added=[] if shard.path in live else [shard], removed=old)

    app = f"{table}-{recipe}"
    version = (newest_transaction(root / table, app) or 0) + 1
    transact(root / table, schema, plan, app=app, version=version, fence=fence)


def files_of_recipe(live: LiveFiles, table: str, recipe: str) -> list[str]:
    """The files with rows of a recipe, which must hold none of others."""
    found = []
    for path, bounds in live.items():
        low, high = bounds.get("min.recipe"), bounds.get("max.recipe")
        if low == high == recipe:
            found.append(path)
        elif low is None or high is None or str(low) <= recipe <= str(high):
            raise ValueError(
                f"{table}/{path} may hold rows of several recipes ({low} to {high}); rows of "
                f"{recipe} cannot be replaced as a whole"
            )
    return found


def recipe_files(root: Location, table: str, recipe: str) -> list[str]:
    """The names of the live files of a recipe in a table that ``replace_rows`` writes."""
    return sorted(files_of_recipe(live_files_of(root / table), table, recipe))
