"""`champ lint`: what the map linter found, as a table for people or as JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rendering.lint.findings import ClipReport, Finding
from rendering.lint.lint import lint

_MARKS = {"error": "[red]error[/]", "warning": "[yellow]warning[/]"}


def run_lint(path: Path, *, map_name: str | None, max_frames: int, as_json: bool) -> int:
    """Lint what is at a path and print it; the exit status: 0 clean, 1 errors found.

    Raises:
        ValueError: See ``rendering.lint.lint.lint``.
        ItemError: A single video or a shard that cannot be opened.
    """
    reports = []
    console = Console()
    for report in lint(path, map_name=map_name, max_frames=max_frames):
        reports.append(report)
        if not as_json:  # clip by clip: a dataset may take a while
            _print_report(console, report)
    if as_json:
        tree = [{**dataclasses.asdict(report), "errors": report.errors} for report in reports]
        print(json.dumps({"path": str(path), "clips": tree}, indent=2))
    else:
        _print_sum(console, reports)
    return int(any(report.errors for report in reports))


def _print_report(console: Console, report: ClipReport) -> None:
    state = _counted(len(report.findings), "finding") if report.findings else "[green]clean[/]"
    console.print(
        f"[bold]{escape(report.clip)}[/] ({', '.join(report.maps) or 'no maps'}; "
        f"{report.looked_at} of {_counted(report.frames, 'frame')}): {state}",
        highlight=False,
        soft_wrap=True,
    )
    if report.findings:
        table = Table("", "map: cause", "measured (expected)", "likely, and what to do")
        for finding in report.findings:
            table.add_row(*_row(finding))
        console.print(table)


def _row(finding: Finding) -> tuple[str, ...]:
    return (
        _MARKS[finding.severity],
        f"{finding.map}: {finding.cause}{_frames(finding.frames)}",
        escape(f"{finding.measured} ({finding.expected})"),
        escape(f"{finding.likely}; {finding.remedy}"),
    )


def _frames(numbers: Sequence[int]) -> str:
    """The first few frames, and how many there are."""
    if not numbers:
        return ""
    more = f", ... {len(numbers)} in all" if len(numbers) > 3 else ""
    return f"\nframe {', '.join(map(str, numbers[:3]))}{more}"


def _print_sum(console: Console, reports: Sequence[ClipReport]) -> None:
    faulty = sum(report.errors > 0 for report in reports)
    console.print(
        f"{_counted(len(reports), 'clip')}, {faulty or 'none'} with errors", highlight=False
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
