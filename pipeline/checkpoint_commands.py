"""`champ checkpoint`: weights from other layouts in, to other layouts out, and what a folder is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli_options import ConfigOpt, DryRunOpt, SetOpt

checkpoint_app = typer.Typer(
    help="Bring weights in from other layouts, and out to them (docs/checkpoints.md).",
    no_args_is_help=True,
)

DtypeOpt = Annotated[
    str,
    typer.Option(
        "--dtype", help="as-is, float32, float16 or bfloat16, of the network; as-is: as they lie."
    ),
]
OutArg = Annotated[Path, typer.Argument(help="A folder that is not there yet, or empty.")]


@checkpoint_app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A folder in one of the layouts below.")],
    out: OutArg,
    dtype: DtypeOpt = "as-is",
    config: ConfigOpt = None,
    set_: SetOpt = None,
    dry_run: DryRunOpt = False,
) -> None:
    """Make a checkpoint folder of the official release's weights, or of other layouts.

    SOURCE is recognised by what lies in it: the release's seven `.pth` files, there or in `champ/`,
    as in its `pretrained_models`; an export to diffusers; a checkpoint of ours; or base models
    alone (Stable Diffusion 1.5's `unet/`, AnimateDiff's `mm_sd_v15_v2.ckpt`), which make a starting
    point for training. A VAE (`vae/`, `sd-vae-ft-mse/`) and an `image_encoder/` in SOURCE come
    along; `animate` finds them in the checkpoint. Sizes come from `--config` where it is given,
    else from files beside the weights or the weights' shapes. Every weight must find its place:
    what the network has no use for is listed, anything else is an error. Nothing is unpickled.
    """
    from pipeline.checkpoint_command import run_import

    run_import(source, out, dtype=dtype, config=config, overrides=set_, dry_run=dry_run)


@checkpoint_app.command()
def export(
    checkpoint: Annotated[Path, typer.Argument(help="A checkpoint folder.")],
    out: OutArg,
    layout: Annotated[str, typer.Option(help="official or diffusers.")],
    dtype: DtypeOpt = "as-is",
    dry_run: DryRunOpt = False,
) -> None:
    """Write a checkpoint for other programs.

    `official`: the release's `.pth` files in OUT/champ, with `sd-vae-ft-mse/` and `image_encoder/`
    beside where the checkpoint has them; for the official code and what reads its layout.
    `diffusers`: `unet/`, `reference_unet/`, `motion_adapter/` and `guidance_encoder_<map>/` in OUT,
    of which diffusers' `from_pretrained` loads the first three.
    """
    from pipeline.checkpoint_command import run_export

    run_export(checkpoint, out, layout=layout, dtype=dtype, dry_run=dry_run)


@checkpoint_app.command()
def show(
    checkpoint: Annotated[Path, typer.Argument(help="A folder in any layout import takes.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Say what a folder of weights is: sizes, parts, types, companions; hashes are checked."""
    from pipeline.checkpoint_command import run_show

    run_show(checkpoint, as_json=as_json)
