"""``fieldkit records``: write the investigation records of cases."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json, echo_table


@click.command("records")
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="ID",
    help="A case by its id or number; may be given several times.",
)
@click.option("--all", "all_cases", is_flag=True, help="Every case.")
@click.option(
    "--format", "formats", default="html,pdf", show_default=True, help="The formats, with commas between."
)
@click.option("--jobs", type=click.IntRange(1), help="How many at a time; by default one a core.")
@click.option(
    "--notebook", type=click.Path(dir_okay=False), help="A notebook of your own instead of the kit's."
)
@click.option("--force", is_flag=True, help="Write again what has not changed.")
@workspace_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    workspace: str | None,
    as_json: bool,
    cases: tuple[str, ...],
    all_cases: bool,
    formats: str,
    **given: Any,
) -> None:
    """Run the investigation notebook of each case and render it; only what changed is done again."""
    import fieldkit as fk

    if bool(cases) == all_cases:
        raise click.UsageError("Say which cases: --case ID (once or more), or --all.")
    wanted = tuple(name.strip() for name in formats.split(",") if name.strip())
    result = fk.run_records(
        fk.open(workspace), list(cases) if cases else None, formats=wanted, progress=not as_json, **given
    )
    outcomes = result.outcomes
    failed = [outcome for outcome in outcomes if outcome.state == "failed"]
    if as_json:
        echo_json([asdict(outcome) for outcome in outcomes])
    else:
        written = sum(outcome.state == "written" for outcome in outcomes)
        click.echo(
            f"{written} written, {len(outcomes) - written - len(failed)} unchanged, {len(failed)} failed."
        )
        if failed:
            echo_table(
                {
                    "case": [outcome.number for outcome in failed],
                    "cell": [outcome.cell for outcome in failed],
                    "reason": [outcome.reason for outcome in failed],
                },
                widest=90,
            )
        if written:
            click.echo(f"They are in {result.folder}")
    ctx.exit(1 if failed else 0)
