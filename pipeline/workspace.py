"""What every job is given: the dataset, the configuration, and how to run."""

from __future__ import annotations

from dataclasses import dataclass, field

from dataset.storage import Location
from pipeline.config import Config
from pipeline.job import RunOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A dataset root with the configuration and the options of one command."""

    root: Location
    config: Config = field(default_factory=Config)
    options: RunOptions = field(default_factory=RunOptions)
