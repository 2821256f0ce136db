"""Feet that stand stay where they stand.

A detector's noise makes a standing foot tremble, which people notice first. Heels and toes are held
against slipping across the picture with a cost that lets go of what moves (Geman and McClure 1987):
a step, or the slow drift of a camera, is faster than a slip and costs nothing more.

``places`` below are the feet's points in the picture, scaled so that 1 a frame is the speed at
which a foot counts as moving.
"""

from __future__ import annotations

from jaxtyping import Float64
from torch import Tensor

from dataset.records import BODY_POINTS

FEET = [
    BODY_POINTS.index(f"{side}_{name}")
    for side in ("left", "right")
    for name in ("heel", "big_toe")
]


def contact_cost(places: Float64[Tensor, "frames feet 2"]) -> Tensor:
    """One for each foot's point and frame that moves on, next to nothing for one that stands."""
    squares = places.diff(dim=0).square().sum(-1)
    return (squares / (1 + squares)).sum()


def add_contact(
    places: Float64[Tensor, "frames feet 2"],
    by_frame: Float64[Tensor, "frames feet 2 unknowns"],
    weight: float,
    model: tuple[
        Float64[Tensor, "frames unknowns unknowns"],
        Float64[Tensor, "frames unknowns unknowns"],
        Float64[Tensor, "frames unknowns"],
    ],
) -> None:
    """Add the cost's model to a band, the couplings to the next frame, and the gradient.

    ``by_frame`` is how the places move with a frame's unknowns. That the shape moves them too is
    left out: it moves them alike in both frames.
    """
    band, next_frame, gradient = model
    slips = places.diff(dim=0)
    pull = weight / (1 + slips.square().sum(-1)).square()
    pull = pull.repeat_interleave(2, 1)[..., None]
    rows, missed = by_frame.flatten(1, 2), slips.flatten(1)[..., None]
    earlier, later = rows[:-1], rows[1:]
    held, pushed = (earlier * pull).transpose(1, 2), (later * pull).transpose(1, 2)
    band[1:] += pushed @ later
    band[:-1] += held @ earlier
    next_frame[:-1] -= pushed @ earlier
    gradient[1:] += (pushed @ missed)[..., 0]
    gradient[:-1] -= (held @ missed)[..., 0]
