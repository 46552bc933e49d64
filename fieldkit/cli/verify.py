"""``fieldkit verify``: check the chains of events."""

from __future__ import annotations

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json, echo_table


@click.command("verify")
@workspace_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, workspace: str | None, as_json: bool) -> None:
    """Read every event again and check that none was changed, removed, inserted or swapped since it was written."""
    import fieldkit as fk

    ledger = fk.open(workspace).ledger
    problems = ledger.verify()
    events = ledger.count()["events"]
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
