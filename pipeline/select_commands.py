"""`champ duplicates`, `champ select`: what becomes of scored clips, without touching a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from curation.selection import REASONS
from pipeline.cli_options import ConfigOpt, DatasetArg, DryRunOpt, SetOpt, open_workspace

select_app = typer.Typer()

WhatIfOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--what-if",
        help="select.key=value: print what would be selected beside what is, and write nothing; "
        "may be repeated.",
    ),
]


@select_app.command()
def duplicates(
    dataset: DatasetArg,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    dry_run: DryRunOpt = False,
) -> None:
    """Find clips that show the same pictures, within and across platforms: `duplicates`.

    Exact copies by the hash of the file, near and mirrored ones by the hashes of their frames. The
    best copy of each cluster is kept, and `champ select` turns down the others.
    """
    from pipeline.jobs.duplicates import duplicates as run

    print(run(open_workspace(dataset, config, set_, dry_run=dry_run)))


@select_app.command()
def select(
    dataset: DatasetArg,
    config: ConfigOpt = None,
    set_: SetOpt = None,
    what_if: WhatIfOpt = None,
    dry_run: DryRunOpt = False,
) -> None:
    """Decide over scored clips again, e.g. `--set select.min_person_share=0.1`: `selection`.

    Thresholds, then copies, then quotas (docs/selection.md). `-c profiles/half_body` chooses what
    is to be seen of people.
    """
    from pipeline.jobs.select import funnel
    from pipeline.jobs.select import select as run

    workspace = open_workspace(dataset, config, set_, dry_run=dry_run)
    if not what_if:
        print(run(workspace))
        return
    wrong = [change for change in what_if if not change.strip().startswith("select.")]
    if wrong:
        raise ValueError(f"--what-if takes select.key=value, got {wrong[0]!r}")
    other = open_workspace(dataset, config, [*(set_ or ()), *what_if])
    before, _ = funnel(workspace.root, workspace.config)
    after, notes = funnel(other.root, other.config)
    _print_funnels(before, after, what_if, notes)


def _print_funnels(
    before: Mapping[str, int],
    after: Mapping[str, int],
    changes: Sequence[str],
    notes: Sequence[str],
) -> None:
    """A line for every reason, what is left of all clips behind it, and what would be."""
    table = Table(title=" ".join(["what if", *changes]))
    for heading in ("", "clips", "left", "what if", "left"):
        table.add_column(heading, justify="right" if heading else "left")
    left = [sum(before.values()), sum(after.values())]
    table.add_row("candidate clips", "", str(left[0]), "", str(left[1]))
    for reason in (reason for reason in REASONS if reason in before or reason in after):
        if reason:
            counts = [before.get(reason, 0), after.get(reason, 0)]
            left = [clips - count for clips, count in zip(left, counts, strict=True)]
            table.add_row(reason, str(counts[0]), str(left[0]), str(counts[1]), str(left[1]))
    table.add_row("selected", "", str(left[0]), "", str(left[1]))
    console = Console(soft_wrap=True)
    console.print(table)
    for note in notes:
        console.print(note, highlight=False)
