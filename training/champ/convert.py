"""From one layout to another, folder by folder, each whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch

from dataset.durable import sync
from training.champ.companions import VAE_FOLDERS, save_companions
from training.champ.diffusers_folders import write_diffusers
from training.champ.own_format import MAX_FILE_BYTES, write_folder
from training.champ.release import write_release
from training.champ.sources import OFFICIAL_FOLDER, Source
from training.champ.weight_files import Told

Layout = Literal["official", "diffusers"]


def import_source(
    source: Source,
    out: Path,
    *,
    dtype: torch.dtype | None = None,
    max_file_bytes: int = MAX_FILE_BYTES,
    told: Told | None = None,
) -> None:
    """Write a checkpoint of ours, with ``vae/`` and ``image_encoder/`` where the source has them.

    Args:
        source: Its weights are taken out of it on the way, which gives memory back.
        out: A folder that is not there, or empty; it appears when it is complete.
        dtype: To convert the network to; None keeps every weight's own. The VAE and the image
            encoder keep theirs.
        max_file_bytes: Larger parts of the network are split.
        told: Hears of each file.

    Raises:
        ValueError: ``out`` holds something, or the VAE or the image encoder is damaged.
    """
    with _whole_folder(out) as draft:
        save_companions(source.vae, source.image_encoder, draft, told=told)
        write_folder(
            draft,
            source.weights,
            source.sizes.settings,
            motion=source.sizes.motion,
            dtype=dtype,
            max_file_bytes=max_file_bytes,
            told=told,
        )


def export_source(
    source: Source,
    out: Path,
    layout: Layout,
    *,
    dtype: torch.dtype | None = None,
    told: Told | None = None,
) -> None:
    """Write the official release's tree (``champ/``, ``sd-vae-ft-mse/``) or diffusers' folders.

    Arguments and errors are those of ``import_source``.
    """
    with _whole_folder(out) as draft:
        if layout == "official":
            place, vae_name = draft / OFFICIAL_FOLDER, VAE_FOLDERS[1]
            write_release(place, source.weights, source.sizes, dtype=dtype, told=told)
        else:
            vae_name = VAE_FOLDERS[0]
            write_diffusers(draft, source.weights, source.sizes, dtype=dtype, told=told)
        save_companions(source.vae, source.image_encoder, draft, vae_name=vae_name, told=told)


def check_out(out: Path) -> None:
    """``ValueError`` where a conversion would write over something."""
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise ValueError(f"{out} exists and is not empty: choose another folder, or remove it")


@contextmanager
def _whole_folder(out: Path) -> Iterator[Path]:
    """A folder to be filled, which takes its place when that went well."""
    check_out(out)
    draft = out.resolve().with_name(f"{out.resolve().name}.partial")
    shutil.rmtree(draft, ignore_errors=True)  # of a conversion that was killed
    draft.mkdir(parents=True)
    try:
        yield draft
        draft.replace(out.resolve())
        sync(out.resolve().parent)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
