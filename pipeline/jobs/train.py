"""`champ train`: shards into a checkpoint, by one of three recipes."""

from __future__ import annotations

import os
from pathlib import Path

from dataset.storage import Location, local_root
from pipeline.recipes import encode_recipe, render_recipe
from pipeline.trained_on import record_sources
from pipeline.workspace import Workspace
from training.loop import train as run_training
from training.recipes import StageRecipe
from training.run_folder import TrainResult
from training.vae_recipe import VaeRecipe

STAGES = {"vae": "vae", "1": "stage1", "2": "stage2"}
"""What `--stage` takes, and the folder of the run."""


def train(
    workspace: Workspace, stage: str, *, runs: Path | None = None, vae: Path | None = None
) -> str:
    """Train one stage to its end, from its newest checkpoint if there is one; say what was done.

    Args:
        stage: ``vae``, ``1`` or ``2``.
        runs: Folder of runs; None is ``DATASET/runs``.
        vae: The VAE whose latents are trained on; None is the configuration's or the runs'.

    Raises:
        ValueError: No such stage, or what the stage starts from is missing.
    """
    if stage not in STAGES:
        raise ValueError(f"--stage takes {', '.join(STAGES)}; got {stage!r}")
    config, folder = workspace.config, runs_folder(workspace.root, runs)
    recipe = (
        _vae_recipe(workspace) if stage == "vae" else _stage_recipe(workspace, stage, folder, vae)
    )
    run_dir = folder / STAGES[stage]
    if workspace.options.dry_run:
        return f"would train {recipe.name} for {recipe.optimizer.steps} steps in {run_dir}"
    if os.environ.get("RANK", "0") == "0":  # the launcher starts a process for each GPU
        record_sources(run_dir, [clip.clip_id for clip in recipe.clips])
    result = run_training(run_dir, recipe, config.train.loop, seed=config.train.seed)
    return _describe(result)


def vae_folder(workspace: Workspace, runs: Path | None = None) -> Path:
    """The autoencoder: the configuration's, else the one trained among the runs."""
    return workspace.config.models.vae or _weights(runs_folder(workspace.root, runs), "vae")


def runs_folder(root: Location, runs: Path | None = None) -> Path:
    """Where runs are: as given, else in the dataset's folder; ``ValueError`` where it has none."""
    remedy = "name what is needed with --runs, --checkpoint or --vae"
    return runs or local_root(root, "what training writes", remedy) / "runs"


def checkpoint_folder(runs: Path) -> Path:
    """The trained network: stage 2's, or stage 1's where there is no stage 2 yet."""
    folder = runs / "stage2" / "weights"
    return folder if folder.is_dir() else _weights(runs, "1")


def _describe(result: TrainResult) -> str:
    did = "was finished before" if result.was_finished else "finished"
    return (
        f"train {result.name} [{result.fingerprint}]: {did}, {result.steps} steps in "
        f"{result.seconds:.0f} s, loss {result.loss:.4f}; weights in {result.weights}"
    )


def _vae_recipe(workspace: Workspace) -> VaeRecipe:
    config = workspace.config
    return VaeRecipe(
        workspace.root,
        settings=config.train,
        autoencoder=config.models.vae_sizes,
        encode=config.encode,
        guidance_recipe=render_recipe(config),
    )


def _stage_recipe(workspace: Workspace, stage: str, runs: Path, vae: Path | None) -> StageRecipe:
    config = workspace.config
    latents = encode_recipe(config, vae or vae_folder(workspace, runs))
    return StageRecipe(
        workspace.root,
        stage=1 if stage == "1" else 2,
        settings=config.train,
        network=config.network,
        schedule=config.schedule,
        start_from=config.models.start_from if stage == "1" else _weights(runs, "1"),
        motion_from=config.models.motion_from if stage == "2" else None,
        latents_recipe=latents,
    )


def _weights(runs: Path, stage: str) -> Path:
    folder = runs / STAGES[stage] / "weights"
    if not folder.is_dir():
        raise ValueError(f"{folder} is missing: run `champ train DATASET --stage {stage}` first")
    return folder
