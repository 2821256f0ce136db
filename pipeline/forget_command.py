"""`champ forget`: what a takedown will remove or has removed, and its proof, for people."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from dataset.storage import Location
from pipeline.forget import Forgotten, forget, plan_forget
from pipeline.forget_plan import Plan


def run_forget(root: Location, source_id: str, *, reason: str, dry_run: bool) -> int:
    """Forget a source, or tell what would go; the exit status: 1 when something still names it.

    Raises:
        ValueError: See ``pipeline.forget.forget``.
    """
    console = Console(highlight=False, soft_wrap=True)
    if dry_run:
        plan = plan_forget(root, source_id)
        _print_plan(console, plan)
        return 0
    done = forget(
        root, source_id, reason=reason, told=lambda line: console.print(f"[dim]{line}[/]")
    )
    _print_done(console, done)
    return int(bool(done.hits))


def _print_plan(console: Console, plan: Plan) -> None:
    table = Table("table", "keys", title=f"would forget {escape(plan.source_id)}")
    for name, keys in plan.keys.items():
        if keys:
            table.add_row(name, escape(", ".join(keys)))
    console.print(table)
    _print_list(console, "files that would be removed", plan.files)
    _print_warnings(console, plan)


def _print_done(console: Console, done: Forgotten) -> None:
    table = Table("where", "removed", title="forgotten")
    for name, rows in done.rows.items():
        table.add_row(name, f"{rows} rows")
    table.add_row("files", f"{len(done.files)}")
    console.print(table)
    _print_list(console, "files removed", done.files)
    read = f"{done.read_files} files with {done.read_bytes / 1e6:.1f} MB read"
    if done.hits:
        console.print(f"[red]not proved[/]: {read}, {len(done.hits)} places still name it")
        _print_list(console, "look at", [f"{hit.path}: {hit.where}" for hit in done.hits])
    else:
        console.print(f"[green]proved[/]: {read}, 0 name the source or its content")
        console.print("It is denied: fetch, training and animation refuse it.")
    _print_warnings(console, done.plan)
    for folder in done.runs.saw:
        console.print(f"[yellow]trained on it[/]: {folder}; weights do not forget, train anew")
    for folder in done.runs.do_not_say:
        console.print(f"[yellow]does not say what it was trained on[/]: {folder}")


def _print_warnings(console: Console, plan: Plan) -> None:
    """What a takedown cannot reach."""
    for other in plan.same_content:
        console.print(
            f"[yellow]the same video is also source {escape(other)}[/]: its file stays; forget "
            "that source too"
        )
    for place in plan.copies:
        state = "remove it by hand" if Path(place).exists() else "not there any more, or elsewhere"
        console.print(f"[yellow]exported[/] to {escape(place)}: {state}")


def _print_list(console: Console, title: str, lines: Iterable[str]) -> None:
    for number, line in enumerate(lines):
        if number == 0:
            console.print(f"{title}:")
        console.print(f"  {escape(line)}")
