"""What the official release calls our parameters, file by file.

The release holds ``reference_unet.pth``, ``denoising_unet.pth`` (spatial layers),
``motion_module.pth`` and one ``guidance_encoder_<map>.pth`` per map (conventions: Network).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from training.champ.settings import NetworkSettings

REFERENCE_FILE = "reference_unet.pth"
DENOISER_FILE = "denoising_unet.pth"
MOTION_FILE = "motion_module.pth"

POSITIONS = "attention_blocks.0.pos_encoder.pe"
POSITIONS_COPY = "attention_blocks.1.pos_encoder.pe"

_MOTION_PARTS = (  # ours -> theirs, inside a block of a motion module
    (re.compile(r"\.attn1\."), ".attention_blocks.0."),
    (re.compile(r"\.attn2\."), ".attention_blocks.1."),
    (re.compile(r"\.norm1\."), ".norms.0."),
    (re.compile(r"\.norm2\."), ".norms.1."),
    (re.compile(r"\.norm3\."), ".ff_norm."),
    (re.compile(r"\.pos_embed\.pe$"), f".{POSITIONS}"),
    (re.compile(r"(\.motion_modules\.\d+)\."), r"\1.temporal_transformer."),
)


def official_place(name: str, settings: NetworkSettings) -> tuple[str, str]:
    """File and name that the official release has for a parameter of ``ChampNetwork``.

    Raises:
        ValueError: The name is not one of a ``ChampNetwork``.
    """
    part, _, rest = name.partition(".")
    if part == "reference_unet":
        return REFERENCE_FILE, rest
    if part == "denoising_unet":
        if ".motion_modules." in rest:
            return MOTION_FILE, _motion_name(rest)
        return DENOISER_FILE, rest
    if part == "guidance_encoders":
        map_name, _, rest = rest.partition(".")
        used = attention_in_use(settings)
        return guidance_file(map_name), re.sub(r"^attention\.", f"attentions.{used}.", rest)
    raise ValueError(f"{name!r} is no parameter of a ChampNetwork")


def guidance_file(map_name: str) -> str:
    """The file of one map's guidance encoder."""
    return f"guidance_encoder_{map_name}.pth"


def attention_in_use(settings: NetworkSettings) -> int:
    """Which of a guidance encoder's released attentions is run: the one after its last block."""
    return 2 * (len(settings.guidance_channels) - 1) - 1


def is_dead(file: str, name: str, settings: NetworkSettings) -> bool:
    """Whether the release holds this weight although its own code never runs it.

    Those are the guidance encoders' earlier attentions and ``guidance_attention``; files with and
    without them exist.
    """
    if not file.startswith("guidance_encoder_"):
        return False
    earlier = re.match(r"attentions\.(\d+)\.", name)
    if earlier:
        return int(earlier.group(1)) < attention_in_use(settings)
    return name.startswith("guidance_attention.")


def with_position_copies(motion: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Official motion weights with the second copy of the positions, which ours keep once."""
    copies = {
        name.replace(POSITIONS, POSITIONS_COPY): value
        for name, value in motion.items()
        if name.endswith(POSITIONS)
    }
    return {**motion, **copies}


def _motion_name(name: str) -> str:
    for ours, theirs in _MOTION_PARTS:
        name = ours.sub(theirs, name)
    return name
