"""The configuration: one validated tree, composed of the sections each package declares."""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError

from curation.duplicates.settings import DuplicateSettings
from curation.fetching.settings import FetchSettings
from curation.people.settings import PeopleSettings
from curation.select import SelectSettings
from curation.settings import CurateSettings
from dataset.settings import Settings
from inference.settings import AnimateSettings
from pipeline.model_settings import ModelSettings
from pipeline.settings import JobSettings
from rendering.settings import RenderSettings
from training.champ.settings import NetworkSettings, ScheduleSettings
from training.settings import EncodeSettings, TrainSettings


class Config(Settings):
    """Every setting there is; `champ config show` prints it resolved."""

    job: JobSettings = Field(
        default=JobSettings(), description="How jobs run: workers, shards, Ray"
    )
    fetch: FetchSettings = Field(default=FetchSettings(), description="Downloading source videos")
    people: PeopleSettings = Field(
        default=PeopleSettings(), description="Finding people and keypoints"
    )
    curate: CurateSettings = Field(
        default=CurateSettings(), description="Cutting videos, scoring clips"
    )
    duplicates: DuplicateSettings = Field(
        default=DuplicateSettings(), description="When two clips show the same pictures"
    )
    select: SelectSettings = Field(default=SelectSettings(), description="Thresholds on the scores")
    render: RenderSettings = Field(
        default=RenderSettings(), description="Fitting and drawing bodies"
    )
    encode: EncodeSettings = Field(
        default=EncodeSettings(), description="Latents and image embeddings"
    )
    models: ModelSettings = Field(default=ModelSettings(), description="VAE and image encoder")
    network: NetworkSettings = Field(default=NetworkSettings(), description="The network's sizes")
    schedule: ScheduleSettings = Field(
        default=ScheduleSettings(), description="Noise when training"
    )
    train: TrainSettings = Field(default=TrainSettings(), description="The training recipes")
    animate: AnimateSettings = Field(default=AnimateSettings(), description="Sampling videos")


def config_folder() -> Path:
    """The folder of named configurations: beside the packages, or inside the installed wheel."""
    beside = Path(__file__).resolve().parent.parent / "configs"
    return beside if beside.is_dir() else Path(__file__).resolve().parent / "configs"


def load_config(source: str | Sequence[str] | None = None, overrides: Sequence[str] = ()) -> Config:
    """Read and validate a configuration.

    Args:
        source: A name in ``configs/`` (``"tiny"``), a YAML file, a folder of YAML files that are
            merged in the order of their names, or None for the defaults; several: each over those
            before it.
        overrides: ``"section.key=value"`` pairs; values are YAML.

    Raises:
        ValueError: A file is missing or not a mapping, or a key or value is not allowed; the
            message names the nearest allowed key.
    """
    tree: dict[str, Any] = {}
    sources = [source] if isinstance(source, str) else list(source or ())
    for path in itertools.chain.from_iterable(map(_yaml_files, sources)):
        _merge(tree, _read_mapping(path))
    for override in overrides:
        _merge(tree, _parse_override(override))
    try:
        return Config.model_validate(tree)
    except ValidationError as error:
        where = f" in {', '.join(sources)}" if sources else ""
        raise ValueError(
            f"The configuration{where} is not valid:\n" + "\n".join(_explain(error))
        ) from None


def _yaml_files(source: str) -> list[Path]:
    for path in (Path(source), config_folder() / source, config_folder() / f"{source}.yaml"):
        if path.is_file():
            return [path]
        if path.is_dir() and (files := sorted(path.glob("*.yaml"))):
            return files
    names = sorted(
        {path.stem for path in config_folder().glob("*") if path.suffix in ("", ".yaml")}
    )
    raise ValueError(
        f"No configuration {source!r}: it is neither a YAML file, nor a folder with some, nor one "
        f"of the names {', '.join(names)}"
    )


def _read_mapping(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path} is not valid YAML: {error}") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{path} must hold a mapping of sections, got {type(tree).__name__}")
    return tree


def _parse_override(text: str) -> dict[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise ValueError(f"--set takes section.key=value, got {text!r}")
    tree: Any = yaml.safe_load(value)
    for part in reversed(name.strip().split(".")):
        tree = {part: tree}
    return tree


def _merge(tree: dict[str, Any], update: Mapping[str, Any]) -> None:
    for key, value in update.items():
        if isinstance(value, Mapping) and isinstance(tree.get(key), dict):
            _merge(tree[key], value)
        else:
            tree[key] = dict(value) if isinstance(value, Mapping) else value


def _explain(error: ValidationError) -> list[str]:
    lines = []
    for problem in error.errors():
        name = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _known_keys(problem["loc"][:-1])
            near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            lines.append(f"  {name}: unknown key; {hint}")
        else:
            lines.append(f"  {name}: {problem['msg']}, got {problem['input']!r}")
    return lines


def _known_keys(location: Sequence[str | int]) -> list[str]:
    model: type[BaseModel] = Config
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        options = (field.annotation, *get_args(field.annotation))
        model = next(
            (o for o in options if isinstance(o, type) and issubclass(o, BaseModel)), model
        )
    return sorted(model.model_fields)
