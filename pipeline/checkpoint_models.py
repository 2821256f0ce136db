"""Which VAE and image encoder a checkpoint is used with."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from pipeline.jobs.train import vae_folder
from pipeline.workspace import Workspace
from training.champ.companions import companions
from training.champ.own_format import read_description


def with_companions(
    workspace: Workspace, checkpoint: Path, vae: Path | None
) -> tuple[Workspace, Path]:
    """The workspace with its image encoder, and the VAE.

    Each is the one that was named (``--vae``, ``models.vae``, ``models.image_encoder``), else the
    one in the checkpoint's folder, else that of the runs (VAE) or the small one (image encoder).

    Raises:
        ValueError: The checkpoint is none of ours (that of another layout has to be imported), or
            there is no VAE in any of these places.
    """
    read_description(checkpoint)
    models = workspace.config.models
    own_vae, own_encoder = companions(checkpoint)
    chosen = models.model_copy(update={"image_encoder": models.image_encoder or own_encoder})
    config = workspace.config.model_copy(update={"models": chosen})
    found = vae or models.vae or own_vae or vae_folder(workspace)
    return dataclasses.replace(workspace, config=config), found
