"""``fieldkit verify``: check that nothing was changed since it was written."""

from __future__ import annotations

from pathlib import Path

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json, echo_table


@click.command("verify")
@click.option(
    "--heads",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Heads that were kept elsewhere (`fieldkit heads --out`): nothing may be missing that they name.",
)
@workspace_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, workspace: str | None, as_json: bool, files: tuple[str, ...]) -> None:
    """Read every event again and check that none was changed, removed, inserted or swapped since it was written."""
    import fieldkit as fk
    from fieldkit.ledger.heads import read_heads

    ws = fk.open(workspace)
    heads = [head for file in files for head in read_heads(Path(file))]
    problems = ws.verify(heads=heads)
    events = ws.ledger.count()["events"]
    if as_json:
        echo_json({"events": events, "problems": [[p.origin, p.sequence, p.message] for p in problems]})
    elif problems:
        echo_table(
            {"event": [p.sequence for p in problems], "what is wrong": [p.message for p in problems]},
            widest=120,
        )
    else:
        click.echo(f"All {events:,} events are as they were written.")
    ctx.exit(2 if problems else 0)
