"""The evaluate stage: an animation beside the true frames, and beside the trivial answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from dataset.errors import ItemError
from dataset.storage import Location, read_file
from dataset.streams import decode_stream
from dataset.tables import read_row
from inference.framing import as_shown
from inference.manifest import own_frame
from inference.metrics import l1, motion_energy, psnr, ssim
from inference.settings import EVALUATE_VERSION


class EvaluateStage:
    """Scores an animation of a clip's own person against the clip.

    Two rows an animation: method ``animation``, and ``repeated_reference``, the reference picture
    shown in every frame. The reference's own frame does not count: there repeating it is perfect.
    Motion energy is relative to the truth's, over all frames.
    """

    name = "evaluate"
    version = EVALUATE_VERSION
    cpus = 1.0
    gpus = 0.0

    def __init__(self, root: Location, guidance_recipe: str | None) -> None:
        self.root, self.guidance_recipe = root, guidance_recipe

    def load(self) -> None:
        """Nothing to load."""

    def process(self, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """Score one row of ``animations``.

        Raises:
            ItemError: There is no truth: the reference is another person than the motion's.
        """
        reference = own_frame(item["reference"], item["motion"])
        if reference is None:
            raise ItemError(
                "evaluate.no_truth",
                f"{item['animation_id']} is no motion of the reference's own clip: no true frames",
                status="rejected",
            )
        true, masks, repeated = self._truth(item, item["motion"], reference)
        drawn = decode_stream(read_file(self.root / item["frames_path"]))
        energy = motion_energy(true, masks)
        judged = np.arange(item["start_frame"], item["start_frame"] + len(true)) != reference
        if not judged.any():
            raise ItemError(
                "evaluate.no_truth",
                f"{item['animation_id']} shows the reference's own frame alone",
                status="rejected",
            )
        for method, frames in (("animation", drawn), ("repeated_reference", repeated)):
            yield {
                "animation_id": item["animation_id"],
                "animation_recipe": item["recipe"],
                "method": method,
                "frames": int(judged.sum()),
                "l1": l1(frames[judged], true[judged]),
                "psnr": psnr(frames[judged], true[judged]),
                "ssim": ssim(frames[judged], true[judged]),
                "psnr_body": psnr(frames[judged], true[judged], masks[judged]),
                "motion_energy": motion_energy(frames, masks) / max(energy, 1e-9),
            }

    def _truth(
        self, item: dict[str, Any], clip_id: str, reference: int
    ) -> tuple[
        UInt8[np.ndarray, "frames rows columns 3"],
        Bool[np.ndarray, "frames rows columns"],
        UInt8[np.ndarray, "frames rows columns 3"],
    ]:
        """The clip's frames and body masks as the animation shows them; the reference repeated."""
        row = read_row(
            self.root, "guidance", clip_id, recipe=self.guidance_recipe, columns=["rgb", "mask"]
        )
        indices = range(item["start_frame"], item["start_frame"] + item["frames"])
        true = as_shown(decode_stream(row["rgb"], indices), item)
        mask = decode_stream(row["mask"], indices, channels=1)
        inside = as_shown(mask, item, fill_black=True)[..., 0] > 127
        first = as_shown(decode_stream(row["rgb"], [reference]), item)
        return true, inside, np.repeat(first, len(true), axis=0)
