"""`champ checkpoint`: recognise, convert, and tell people or programs what there is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from torch import Tensor

from pipeline.config import load_config
from training.champ.companions import bytes_below
from training.champ.convert import Layout, check_out, export_source, import_source
from training.champ.official_names import official_place
from training.champ.own_format import is_own_folder, read_description
from training.champ.settings import NetworkSettings
from training.champ.sources import Source, open_source
from training.champ.weight_files import DTYPES, Told, dtype_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part of a network."""

    name: str
    tensors: int
    parameters: int
    bytes: int
    dtype: str


def run_import(
    folder: Path,
    out: Path,
    *,
    dtype: str,
    config: Sequence[str] | None,
    overrides: Sequence[str] | None,
    dry_run: bool,
) -> None:
    """Import a folder, or tell what would be done.

    Raises:
        ValueError: See ``open_source`` and ``import_source``; or no such dtype.
    """
    wanted = _dtype(dtype)
    check_out(out)
    given = load_config(config, overrides or ()).network if config or overrides else None
    source = _open(folder, given)
    _print_source(source)
    if dry_run:
        print(f"would write {decimal(_bytes_out(source, wanted))} to {out}; every name has a place")
        return
    with _progress(_bytes_out(source, wanted)) as told:
        import_source(source, out, dtype=wanted, told=told)
    print(f"imported to {out}")


def run_export(folder: Path, out: Path, *, layout: str, dtype: str, dry_run: bool) -> None:
    """Export a checkpoint of ours, or tell what would be done.

    Raises:
        ValueError: See ``open_source`` and ``export_source``; or no such layout or dtype.
    """
    chosen, wanted = _layout(layout), _dtype(dtype)
    check_out(out)
    read_description(folder)  # another layout has to be imported first: this says so
    source = _open(folder, None)
    _print_source(source)
    if source.sizes.settings.reference_positions:
        print("note: reference_positions is on, which other programs do not know: they will draw")
        print("something else from these weights")
    if dry_run:
        print(f"would write {decimal(_bytes_out(source, wanted))} to {out} ({chosen})")
        return
    with _progress(_bytes_out(source, wanted)) as told:
        export_source(source, out, chosen, dtype=wanted, told=told)
    print(f"exported to {out} ({chosen})")


def run_show(folder: Path, *, as_json: bool) -> None:
    """Print what a folder is; ``ValueError`` where it is nothing, or damaged."""
    source = _open(folder, None)
    if as_json:
        print(json.dumps(_tree(source), indent=1))
    else:
        _print_source(source)
        _print_settings(source.sizes.settings)


def parts(source: Source) -> list[Part]:
    """The parts of a network, as they would be written in our format."""
    by_part: dict[str, list[Tensor]] = {}
    for name, value in source.weights.items():
        part = Path(official_place(name, source.sizes.settings)[0]).stem
        by_part.setdefault(part, []).append(value)
    return [
        Part(
            name=name,
            tensors=len(values),
            parameters=sum(value.numel() for value in values),
            bytes=sum(value.nbytes for value in values),
            dtype=dtype_name(values),
        )
        for name, values in by_part.items()
    ]


def _open(folder: Path, settings: NetworkSettings | None) -> Source:
    """A source; a bar shows while the hashes of a checkpoint of ours are checked."""
    files = read_description(folder).files.values() if is_own_folder(folder) else ()
    with _progress(sum(file.bytes for file in files)) as told:
        return open_source(folder, settings, told)


@contextmanager
def _progress(total: int) -> Iterator[Told]:
    """A bar of bytes, on standard error: what is printed stays fit for programs."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not total) as bar:
        task = bar.add_task("reading", total=total)
        yield lambda what, size: bar.update(task, advance=size, description=what)


def _print_source(source: Source) -> None:
    console = Console(highlight=False, soft_wrap=True)
    table = Table("part", "tensors", "parameters", "size", "dtype", title=_title(source))
    for column in table.columns[1:4]:
        column.justify = "right"
    for part in parts(source):
        size = decimal(part.bytes)
        table.add_row(part.name, str(part.tensors), f"{part.parameters:,}", size, part.dtype)
    console.print(table)
    for line in (f"hashes: {_hashes(source)}", *_with_it(source)):
        console.print(escape(line))
    for place, names in source.left_out.items():
        console.print(f"left out of {place}: {len(names)} weights that the network never uses")
    for note in source.notes:
        console.print(f"[yellow]note:[/] {escape(note)}")


def _print_settings(settings: NetworkSettings) -> None:
    table = Table("setting", "value")
    for name, value in settings.model_dump(mode="json").items():
        table.add_row(
            name, escape(", ".join(map(str, value)) if isinstance(value, list) else f"{value}")
        )
    Console(highlight=False).print(table)


def _title(source: Source) -> str:
    motion = "with" if source.sizes.motion else "without"
    return f"{escape(str(source.folder))}: {source.kind}, {motion} motion modules"


def _with_it(source: Source) -> list[str]:
    return [
        f"{what}: {place or 'none in the folder'}"
        for what, place in (("VAE", source.vae), ("image encoder", source.image_encoder))
    ]


def _hashes(source: Source) -> str:
    """Opening a source has compared them, or raised."""
    if source.kind != "checkpoint":
        return "this layout has none"
    return "as written" if read_description(source.folder).files else "format 1 has none"


def _tree(source: Source) -> dict[str, Any]:
    return {
        "folder": str(source.folder),
        "kind": source.kind,
        "motion": source.sizes.motion,
        "hashes": _hashes(source),
        "files": [str(path) for path in source.files],
        "parts": [asdict(part) for part in parts(source)],
        "vae": str(source.vae) if source.vae else None,
        "image_encoder": str(source.image_encoder) if source.image_encoder else None,
        "left_out": source.left_out,
        "notes": source.notes,
        "settings": source.sizes.settings.model_dump(mode="json"),
    }


def _bytes_out(source: Source, dtype: torch.dtype | None) -> int:
    network = sum(w.numel() * (dtype or w.dtype).itemsize for w in source.weights.values())
    return network + bytes_below(source.vae) + bytes_below(source.image_encoder)


def _dtype(name: str) -> torch.dtype | None:
    if name != "as-is" and name not in DTYPES:
        raise ValueError(f"--dtype takes as-is, {', '.join(DTYPES)}; got {name!r}")
    return DTYPES.get(name)


def _layout(name: str) -> Layout:
    for layout in get_args(Layout):
        if layout == name:
            return layout
    raise ValueError(f"--layout takes {' or '.join(get_args(Layout))}, got {name!r}")
