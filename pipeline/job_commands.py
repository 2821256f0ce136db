"""`champ fetch` to `champ evaluate`: one command a job, in the order the data flows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_options import (
    AddressOpt,
    CheckpointOpt,
    ConfigOpt,
    DatasetArg,
    DryRunOpt,
    InProcessOpt,
    RetryOpt,
    RunsOpt,
    SetOpt,
    VaeOpt,
    open_workspace,
)

jobs_app = typer.Typer()


@jobs_app.command()
def fetch(
    dataset: DatasetArg,
    manifest: Annotated[
        Path, typer.Argument(help="CSV, JSON Lines or Parquet of sources, or a folder of videos.")
    ],
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
    dry_run: DryRunOpt = False,
    retry_failed: RetryOpt = False,
) -> None:
    """Bring source videos into the dataset: the `videos` table and content-addressed files.

    The manifest has the columns `source_id`, `url` or `path`, `platform`, `licence`, `consent`, and
    may have `start_seconds`, `end_seconds`, `headers`, `label_*`. URLs are http(s) to public
    addresses; pages of YouTube, TikTok, Douyin, Bilibili and Xiaohongshu go through yt-dlp. What
    cannot be fetched becomes a `failed` or `rejected` row of `outcomes` with its reason, and the
    job goes on; what waits for a platform that blocks is taken up by the next run.
    """
    from pipeline.jobs.fetch import fetch as run

    workspace = open_workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)
    print(run(workspace, manifest))


@jobs_app.command()
def retry(
    dataset: DatasetArg,
    only: Annotated[
        str,
        typer.Option(help="transient, permanent, blocked, all, or a reason like fetch.http_404."),
    ] = "transient",
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
    dry_run: DryRunOpt = False,
) -> None:
    """Fetch failed sources again, without their manifest: by default those that failed in passing.

    `transient` is what time may heal (stalls, cut connections, server errors), `blocked` what a
    platform refused for a while or what was put off meanwhile, `permanent` the rest (removed,
    private, no video). Unfinished downloads go on where they stopped.
    """
    from pipeline.jobs.fetch import retry as run

    workspace = open_workspace(dataset, config, set_, address, in_process, dry_run)
    summary, unusable = run(workspace, only)
    print(summary)
    if unusable:
        print(
            f"{unusable} more had signed addresses, which are not kept: "
            "champ fetch with their manifest and --retry-failed"
        )


@jobs_app.command()
def curate(
    dataset: DatasetArg,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
    dry_run: DryRunOpt = False,
    retry_failed: RetryOpt = False,
) -> None:
    """Cut videos into clips of one person, score and compare them, and decide over them.

    One decode a video at one frame rate (30): shots, people, tracks, scores. Thresholds are applied
    last, so that `champ select` decides again in seconds without touching a video.
    """
    from pipeline.jobs.curate import curate as run

    print(run(open_workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)))


@jobs_app.command()
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

    print(run(open_workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)))


@jobs_app.command()
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

    workspace = open_workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)
    print(run(workspace, vae or vae_folder(workspace)))


@jobs_app.command()
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

    print(run(open_workspace(dataset, config, set_, dry_run=dry_run), stage, runs=runs, vae=vae))


@jobs_app.command()
def animate(
    dataset: DatasetArg,
    manifest: Annotated[Path, typer.Argument(help="CSV, JSON Lines or Parquet of animations.")],
    checkpoint: CheckpointOpt = None,
    vae: VaeOpt = None,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
    dry_run: DryRunOpt = False,
    retry_failed: RetryOpt = False,
) -> None:
    """Animate every row of a manifest: MP4 files and the `animations` table.

    Columns: `animation_id`, `reference` (a picture file or CLIP_ID#FRAME), `motion` (a CLIP_ID, a
    video file, or a folder of ready maps: `depth/0000.png`, ...), and if wanted `seed`,
    `start_frame`, `end_frame`, `frame_order`.
    """
    from pipeline.checkpoint_models import with_companions
    from pipeline.jobs.animate import animate as run
    from pipeline.jobs.train import checkpoint_folder, runs_folder

    workspace = open_workspace(dataset, config, set_, address, in_process, dry_run, retry_failed)
    network = checkpoint or checkpoint_folder(runs_folder(dataset))
    workspace, autoencoder = with_companions(workspace, network, vae)
    print(run(workspace, manifest, checkpoint=network, vae=autoencoder))


@jobs_app.command()
def evaluate(
    dataset: DatasetArg,
    checkpoint: CheckpointOpt = None,
    vae: VaeOpt = None,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    address: AddressOpt = None,
    in_process: InProcessOpt = False,
) -> None:
    """Score animations against the true frames (L1, PSNR, SSIM): the `metrics` table."""
    from pipeline.checkpoint_models import with_companions
    from pipeline.jobs.animate import evaluate as run
    from pipeline.jobs.train import checkpoint_folder, runs_folder

    workspace = open_workspace(dataset, config, set_, address, in_process)
    network = checkpoint or checkpoint_folder(runs_folder(dataset))
    workspace, autoencoder = with_companions(workspace, network, vae)
    print(run(workspace, checkpoint=network, vae=autoencoder))
