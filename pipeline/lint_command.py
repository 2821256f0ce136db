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
    state = f"{len(report.findings)} findings" if report.findings else "[green]clean[/]"
    console.print(
        f"[bold]{escape(report.clip)}[/] ({', '.join(report.maps) or 'no maps'}; "
        f"{report.looked_at} of {report.frames} frames): {state}",
        highlight=False,
    )
    if report.findings:
        table = Table("", "map", "check", "cause", "measured (expected)", "likely, and what to do")
        for finding in report.findings:
            table.add_row(*_row(finding))
        console.print(table)


def _row(finding: Finding) -> tuple[str, ...]:
    frames = _frames(finding.frames)
    return (
        _MARKS[finding.severity],
        finding.map,
        finding.check,
        f"{finding.cause}\n{frames}" if frames else finding.cause,
        escape(f"{finding.measured} ({finding.expected})"),
        escape(f"{finding.likely}; {finding.remedy}"),
    )


def _frames(numbers: Sequence[int]) -> str:
    """The first few frames, and how many there are."""
    if not numbers:
        return ""
    shown = ", ".join(map(str, numbers[:3]))
    more = f", ... ({len(numbers)})" if len(numbers) > 3 else ""
    return f"frame{'s' if len(numbers) > 1 else ''} {shown}{more}"


def _print_sum(console: Console, reports: Sequence[ClipReport]) -> None:
    faulty = sum(report.errors > 0 for report in reports)
    console.print(
        f"{len(reports)} clips, {faulty} with errors"
        if faulty
        else f"{len(reports)} clips, no errors",
        highlight=False,
    )
