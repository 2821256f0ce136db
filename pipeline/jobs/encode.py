"""`champ encode`: rendered clips into VAE latents and image embeddings."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from dataset.tables import read_table
from pipeline.job import JobSummary, run_job
from pipeline.recipes import encode_recipe, render_recipe
from pipeline.resume import TableRows
from pipeline.stage import StageSpec
from pipeline.workspace import Workspace
from training.latents import EncodeStage


def encode(workspace: Workspace, vae: Path) -> JobSummary:
    """Encode every rendered clip with the VAE in folder ``vae``."""
    root, config = workspace.root, workspace.config
    rendered = render_recipe(config)
    columns = ["clip_id", "recipe"]
    rows = read_table(root, "guidance", columns=columns, recipe=rendered)
    spec = StageSpec(
        make=partial(
            EncodeStage,
            config.encode,
            root,
            autoencoder=vae,
            image_encoder=config.models.image_encoder,
            image_encoder_settings=config.models.image_encoder_sizes,
            gpus=config.job.gpus,
        ),
        job="encode",
        table="latents",
        key="clip_id",
        root=root,
        recipe=encode_recipe(config, vae),
    )
    return run_job(spec, TableRows(rows), workspace.options)
