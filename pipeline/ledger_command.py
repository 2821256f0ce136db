"""`champ ledger`: a clip's story as a page in the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

Row = Mapping[str, Any]

_SOURCE = (
    *("source_id", "url", "platform", "title", "uploader_id", "upload_date", "video_id"),
    *("licence", "platform_licence", "consent", "labels", "tags", "content_sha256", "path"),
    *("size_bytes", "width", "height", "fps", "frames", "duration_seconds", "codec", "container"),
    *("pixel_format", "interlaced", "hdr", "alpha", "variable_rate", "has_audio", "start_seconds"),
    *("end_seconds", "recipe", "created_at"),
)
_ANIMATIONS = ("animation_id", "reference", "motion", "frames", "alignment_iou", "video_path")
_METRICS = ("animation_id", "method", "l1", "psnr", "ssim", "psnr_body", "motion_energy")
_JOBS = ("created_at", "job", "key", "status", "reason", "message", "attempts", "seconds", "recipe")


def print_ledger(story: Row) -> None:
    """Print what ``pipeline.ledger.read_ledger`` found; empty parts are left out."""
    console = Console(highlight=False)
    console.rule(f"[bold]{escape(story['clip_id'])}[/]")
    if story["denied"]:
        console.print("[red]its source was taken down: nothing may use it[/]")
    for source in story["source"]:
        _print_pairs(console, "source", source, _SOURCE)
    _print_each(console, "clip", story["clips"])
    _print_checks(console, story["checks"])
    _print_pairs(console, "other scores", story["other_scores"], story["other_scores"])
    _print_rows(console, "decisions", story["decisions"])
    _print_rows(console, "copies", story["copies"])
    _print_each(console, "guidance: how the body fits", story["guidance"])
    _print_each(console, "latents", story["latents"])
    _print_rows(console, "animations", story["animations"], _ANIMATIONS)
    metrics = [row for animation in story["animations"] for row in animation["metrics"]]
    _print_rows(console, "metrics", metrics, _METRICS)
    _print_rows(console, f"jobs, {story['seconds']:.1f} s in all", story["jobs"], _JOBS)
    versions = {str(row["job"]): _text(row["versions"]) for row in story["jobs"] if row["versions"]}
    _print_pairs(console, "versions, of the last attempt", versions, versions)
    for title, lines in (("exported to", story["exports"]), ("trained on it", story["trained"])):
        for line in lines:
            console.print(f"{title}: {escape(line)}", soft_wrap=True)


def _print_checks(console: Console, checks: Iterable[Row]) -> None:
    """Scores beside their thresholds; the one that decided is red."""
    table = Table("score", "value", "", "threshold", "", title="scores and thresholds")
    for check in checks:
        verdict = {True: "[green]passes[/]", False: "[yellow]fails too[/]", None: "not measured"}
        told = verdict[check["passed"]]
        if check["decides"]:
            told = f"[red]decides: {check['reason']}[/]"
        limit = {"min": "at least", "max": "at most"}.get(check["bound"], check["bound"])
        table.add_row(check["score"], _text(check["value"]), limit, _text(check["threshold"]), told)
    if table.row_count:
        console.print(table)


def _print_rows(
    console: Console, title: str, rows: list[Row], columns: Iterable[str] | None = None
) -> None:
    """A table of rows with a column for each name that any of them has a value of."""
    if not rows:
        return
    names = [name for name in columns or rows[0] if any(_text(row.get(name)) for row in rows)]
    table = Table(title=title)
    for name in names:
        table.add_column(name.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(escape(_text(row.get(name))) for name in names))
    console.print(table)


def _print_each(console: Console, title: str, rows: list[Row]) -> None:
    for row in rows:
        _print_pairs(console, title, row, row)


def _print_pairs(console: Console, title: str, row: Row, names: Iterable[str]) -> None:
    table = Table(title=title, show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    for name in names:
        if text := _text(row.get(name)):
            table.add_row(name.replace("_", " "), escape(text))
    if table.row_count:
        console.print(table)


def _text(value: Any) -> str:
    """A value for people: few digits, nothing for nothing."""
    if value is None or value == "" or value == []:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(map(_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(each)}" for name, each in value.items())
    return str(value)
