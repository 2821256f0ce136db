"""The labels of the sample media: spans of who is seen how, by hand, and which half they are in.

The two halves share no scene: thresholds are set on ``calibration`` and reported on ``report``.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from curation.select import Framing

Half = Literal["calibration", "report"]
Kind = Literal["real", "cartoon", "still"]

_TABLE = Path(__file__).parent / "data" / "curation_labels.csv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """What is seen in a span of a file; ``persons`` is 0, 1 or 2 (two and more).

    ``scene`` names what was filmed: files of one scene show the same place or people. ``framing``
    is None where nobody is seen. A photo has no length (0 to 0 s).
    """

    file: str
    scene: str
    half: Half
    start_seconds: float
    end_seconds: float
    persons: int
    framing: Framing | None
    kind: Kind

    @property
    def wanted(self) -> bool:
        """One real person, alone."""
        return self.persons == 1 and self.kind == "real"

    @property
    def is_photo(self) -> bool:
        return self.end_seconds == 0


def read_labels(path: Path = _TABLE) -> list[Label]:
    """Every labelled span, in the order of the table.

    Raises:
        ValueError: A word that the table must not have, or a scene that is in both halves.
    """
    with path.open(newline="") as table:
        rows = [{name: text or None for name, text in row.items()} for row in csv.DictReader(table)]
    labels = TypeAdapter(list[Label]).validate_python(rows)
    halves = {(label.scene, label.half) for label in labels}
    if len(halves) != len({scene for scene, _ in halves}):
        raise ValueError(f"expected every scene in one half of {path.name}, got {sorted(halves)}")
    return labels
