"""Commands on a dataset as a whole: what it holds, out of it again, and out of it for good."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dataset.storage import Location, files_below
from pipeline.cli_options import ConfigOpt, DatasetArg, DryRunOpt, SetOpt

data_app = typer.Typer()

RecipeOpt = Annotated[str | None, typer.Option(help="A recipe, or `newest`: the one written last.")]
JsonOpt = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@data_app.command()
def files(
    dataset: DatasetArg,
    table: Annotated[str, typer.Argument(help="videos, clips, guidance, latents, ...")],
    recipe: RecipeOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """List the live Parquet files of a table, for DuckDB, pandas, polars or Hugging Face datasets.

    Only these hold rows: the folder may hold more, which killed jobs left and no commit names. With
    a recipe, those with rows of it; rows of others may be beside, the column `recipe` tells.
    docs/data-format.md has the line that each reader needs.
    """
    from dataset.tables import live_files

    _check_dataset(dataset)
    chosen = _recipe(dataset, table, recipe)
    found = live_files(dataset, table, recipe=chosen)
    paths = [str(path.absolute() if isinstance(path, Path) else path) for path in found]
    told = {"table": table, "recipe": chosen, "files": paths}
    print(json.dumps(told, indent=1) if as_json else "\n".join(paths))


@data_app.command()
def export(
    dataset: DatasetArg,
    out: Annotated[Path, typer.Argument(help="The folder to write; its `video_folder`.")],
    layout: Annotated[str, typer.Option(help="champ: folders of PNG, a clip each.")] = "champ",
    recipe: RecipeOpt = "newest",
    dry_run: DryRunOpt = False,
) -> None:
    """Write rendered clips as folders of PNG that the official training code reads.

    OUT/PLATFORM/CLIP_ID/ with `images depth normal semantic_map dwpose mask` (0000.png, ...),
    `human_bbox.json`, `smpl_results` and `clip.json`. A clip appears whole or not at all; a second
    call goes on with those that are missing. Exit status 1 when clips could not be written.
    """
    from pipeline.export import export as run

    if layout != "champ":
        raise ValueError(f"--layout takes champ, got {layout!r}")
    _check_dataset(dataset)
    chosen = _recipe(dataset, "guidance", recipe)
    summary = run(dataset, out, recipe=chosen, dry_run=dry_run)
    print(summary)
    raise typer.Exit(1 if summary.failures else 0)


@data_app.command()
def vacuum(
    dataset: DatasetArg,
    hours: Annotated[
        float, typer.Option(min=0, help="Younger files stay: a running job may commit them.")
    ] = 24.0,
) -> None:
    """Remove files that nothing names any more: what killed jobs and downloads left behind.

    Shards that no commit names, videos and animations without a row, partial downloads, locks that
    nobody holds.
    """
    from pipeline.vacuum import vacuum as run

    _check_dataset(dataset)
    for path in run(dataset, older_than_seconds=hours * 3600):
        print(f"removed {path}")


@data_app.command()
def forget(
    dataset: DatasetArg,
    source_id: Annotated[str, typer.Argument(help="A source of the `videos` table.")],
    reason: Annotated[
        str, typer.Option(help="Kept in the `denied` table; must not name the source.")
    ] = "",
    dry_run: DryRunOpt = False,
) -> None:
    """Remove a source and all that came of it, for good, and prove it.

    Its rows leave every table (clips, maps, latents, animations that show it or move like it, their
    metrics, outcomes), with the files and the logs that held them; its video goes unless another
    source is the same one. It is denied, so that it cannot come back. Then every file of the
    dataset is read, and what still names the id or the content is told: exit status 1, else 0.
    Waits for jobs that are at work. Killed at any moment, call it again.
    """
    from pipeline.forget_command import run_forget

    _check_dataset(dataset)
    raise typer.Exit(run_forget(dataset, source_id, reason=reason, dry_run=dry_run))


@data_app.command()
def ledger(
    dataset: DatasetArg,
    clip_id: Annotated[str, typer.Argument(help="A clip of the `clips` table.")],
    config: ConfigOpt = None,
    set_: SetOpt = None,
    as_json: JsonOpt = False,
) -> None:
    """Tell a clip's whole story: source, scores, decisions, attempts, versions, seconds.

    Where it came from and under which rights, every score beside the configuration's threshold and
    which of them decided, what earlier selections decided, its copies, how well the body fits, its
    latents, the animations made of it, where it was exported to, and every job's outcome.
    """
    from pipeline.config import load_config
    from pipeline.ledger import read_ledger
    from pipeline.ledger_command import print_ledger

    _check_dataset(dataset)
    story = read_ledger(dataset, clip_id, load_config(config, set_ or ()).select)
    if as_json:
        print(json.dumps(story, indent=1, allow_nan=False))
    else:
        print_ledger(story)


def _check_dataset(dataset: Location) -> None:
    """These commands look at what is there; a wrong path must not look like an empty dataset."""
    if next(iter(files_below(dataset)), None) is None:
        raise ValueError(f"there is no dataset {dataset}")


def _recipe(dataset: Location, table: str, given: str | None) -> str | None:
    """The recipe that was asked for; None for all."""
    from dataset.tables import newest_recipe

    return newest_recipe(dataset, table) if given == "newest" else given
