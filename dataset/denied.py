"""Sources that were taken down for good: who asks here before using one keeps it out.

The ``denied`` table holds digests of source ids and of contents, never the names themselves, so
that nothing in a dataset names what was forgotten. A digest of a short, guessable id can be found
by trying; it hides a name from whoever reads the table, not from whoever knows it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from dataset.errors import ItemError
from dataset.storage import Location
from dataset.tables import commit, read_table, write_shard

_RECIPE = "forget"
_CLIP_ID = re.compile(r"(.+)-\d{6,}-\d{4,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DenyList:
    """What is denied: the reason by digest."""

    reasons: Mapping[str, str]

    def names(self, name: str) -> bool:
        """Whether a source id, the id of one of its clips, or a content SHA-256 is denied."""
        return any(name_digest(each) in self.reasons for each in _names(name))

    def check(self, *names: str) -> None:
        """Refuse what is denied.

        Raises:
            ItemError: ``source.denied``, rejected: one of the names is of a denied source.
        """
        for name in names:
            if self.names(name):
                raise ItemError(
                    "source.denied", f"{name} was taken down from this dataset", status="rejected"
                )


def read_denied(root: Location) -> DenyList:
    """The sources that this dataset must not take in or use; none where nothing was taken down."""
    rows = read_table(root, "denied", columns=["digest", "reason"]).to_pylist()
    return DenyList(reasons={row["digest"]: row["reason"] for row in rows})


def deny(root: Location, names: list[str], *, reason: str = "") -> bool:
    """Deny source ids and content SHA-256s for good; what is denied already stays as it is.

    Raises:
        ValueError: The reason holds one of the names, which nothing may name any more.
    """
    for name in names:
        if name in reason:
            raise ValueError(f"the reason must not name what is forgotten, got {reason!r}")
    known = read_denied(root)
    digests = sorted({name_digest(name) for name in names if not known.names(name)})
    if not digests:
        return False
    rows = [{"digest": each, "reason": reason, "recipe": _RECIPE} for each in digests]
    name = f"deny-{hashlib.sha256(''.join(digests).encode()).hexdigest()[:16]}"
    return commit(root, "denied", [write_shard(root, "denied", rows, name=name)], app=name)


def source_of_clip(clip_id: str) -> str:
    """The source that a clip was cut from, by its id; the id itself where it is no clip's."""
    match = _CLIP_ID.fullmatch(clip_id)
    return match[1] if match else clip_id


def _names(name: str) -> tuple[str, ...]:
    """A name as it is, and as the id of a clip."""
    return (name, source_of_clip(name))


def name_digest(name: str) -> str:
    """What stands for a name where the name itself must not be."""
    return hashlib.sha256(f"denied:{name}".encode()).hexdigest()
