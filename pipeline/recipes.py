"""The fingerprints of what each job makes: its version, settings and files, and what it reads.

Each recipe includes the one before it, so that clips cut anew are rendered anew, and no others.
Versions come from the settings' modules: a job that touches no picture loads no network's library.
"""

from __future__ import annotations

from pathlib import Path

from curation import decisions
from curation.duplicates.settings import DUPLICATES_VERSION
from curation.fetching.settings import FETCH_VERSION, deciding_settings
from curation.settings import CURATE_VERSION
from dataset.fingerprint import fingerprint
from inference.settings import ANIMATE_VERSION, EVALUATE_VERSION
from pipeline.config import Config
from rendering.settings import RENDER_VERSION
from training.settings import ENCODE_VERSION


def fetch_recipe(config: Config) -> str:
    """What limits a video was fetched under."""
    return fingerprint("fetch", FETCH_VERSION, deciding_settings(config.fetch))


def curate_recipe(config: Config) -> str:
    """How videos were cut and scored."""
    return fingerprint(
        "curate",
        CURATE_VERSION,
        {
            "curate": config.curate.model_dump(mode="json"),
            "people": config.people.model_dump(mode="json"),
            "fetch": fetch_recipe(config),
        },
        files=config.curate.models.files,
    )


def duplicates_recipe(config: Config) -> str:
    """What counts as a copy of a clip."""
    return fingerprint(
        "duplicates",
        DUPLICATES_VERSION,
        {"duplicates": config.duplicates.model_dump(mode="json"), "curate": curate_recipe(config)},
    )


def select_recipe(config: Config) -> str:
    """Which thresholds and quotas decided over which scores and which copies."""
    return fingerprint(
        "select",
        decisions.VERSION,
        {
            "select": config.select.model_dump(mode="json"),
            "duplicates": duplicates_recipe(config),
        },
    )


def render_recipe(config: Config) -> str:
    """How clips were fitted and drawn; thresholds of the selection do not change a rendering."""
    named = [config.render.body_model]
    if config.render.fitter == "hmr2":
        named.append(config.render.hmr2.checkpoint)
    return fingerprint(
        "render",
        RENDER_VERSION,
        {"render": config.render.model_dump(mode="json"), "curate": curate_recipe(config)},
        files=[path for path in named if path],
    )


def encode_recipe(config: Config, vae: Path) -> str:
    """Which networks encoded which renderings."""
    return fingerprint(
        "encode",
        ENCODE_VERSION,
        {
            "encode": config.encode.model_dump(mode="json"),
            "image_encoder": config.models.image_encoder_sizes.model_dump(mode="json"),
            "render": render_recipe(config),
        },
        files=_files(vae) + _files(config.models.image_encoder),
    )


def animate_recipe(config: Config, checkpoint: Path, vae: Path) -> str:
    """Which networks and settings animated."""
    return fingerprint(
        "animate",
        ANIMATE_VERSION,
        {
            "animate": config.animate.model_dump(mode="json"),
            "image_encoder": config.models.image_encoder_sizes.model_dump(mode="json"),
            "render": render_recipe(config),
        },
        files=_files(checkpoint) + _files(vae) + _files(config.models.image_encoder),
    )


def evaluate_recipe(animations: str) -> str:
    """Which animations were scored."""
    return fingerprint("evaluate", EVALUATE_VERSION, {"animate": animations})


def _files(folder: Path | None) -> list[Path]:
    """Every file of a model folder, in a fixed order."""
    if folder is None:
        return []
    if not folder.is_dir():
        raise ValueError(f"There is no model folder {folder}")
    return sorted(path for path in folder.rglob("*") if path.is_file())
