"""What the commands share: their options, and the workspace that these describe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dataset.storage import Location, location

if TYPE_CHECKING:
    from pipeline.workspace import Workspace

DatasetArg = Annotated[
    Any,  # a Location, which is a union: Typer knows none
    typer.Argument(
        parser=location,
        metavar="DATASET",
        help="The dataset: a folder, made when it is missing, or s3://bucket/prefix.",
    ),
]
ConfigOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--config",
        "-c",
        help="A name in configs/ (tiny, profiles/half_body), a YAML file or a folder; repeated: "
        "each over those before.",
    ),
]
SetOpt = Annotated[
    list[str] | None,
    typer.Option("--set", help="section.key=value over the configuration; may be repeated."),
]
AddressOpt = Annotated[
    str | None,
    typer.Option(help="A Ray cluster (ray://host:10001 or auto); none: a local Ray."),
]
InProcessOpt = Annotated[
    bool, typer.Option("--in-process", help="Run here without Ray, for debugging.")
]
DryRunOpt = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, do nothing.")]
RetryOpt = Annotated[
    bool, typer.Option("--retry-failed", help="Try failed and quarantined items again.")
]
CheckpointOpt = Annotated[
    Path | None, typer.Option(help="Network folder; none: stage 2's in DATASET/runs.")
]
VaeOpt = Annotated[
    Path | None, typer.Option(help="VAE folder; none: the one trained in DATASET/runs.")
]
RunsOpt = Annotated[
    Path | None, typer.Option("--runs", help="Folder of training runs; none: DATASET/runs.")
]


def open_workspace(
    dataset: Location,
    config: Sequence[str] | None,
    overrides: list[str] | None,
    address: str | None = None,
    in_process: bool = False,
    dry_run: bool = False,
    retry_failed: bool = False,
) -> Workspace:
    """The dataset with its resolved configuration; ``ValueError`` where that is wrong."""
    from pipeline.config import load_config
    from pipeline.job import RunOptions
    from pipeline.workspace import Workspace

    resolved = load_config(config, overrides or ())
    options = RunOptions(
        settings=resolved.job,
        address=address,
        in_process=in_process,
        dry_run=dry_run,
        retry_failed=retry_failed,
    )
    return Workspace(root=dataset, config=resolved, options=options)
