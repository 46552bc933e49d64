"""``fieldkit rebuild``: make the projections anew."""

from __future__ import annotations

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json


@click.command("rebuild")
@workspace_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, workspace: str | None, as_json: bool) -> None:
    """Make the tables that people read anew from the events, and say whether they were as they should be."""
    import fieldkit as fk

    ledger = fk.open(workspace).ledger
    before = ledger.state_hash()
    after = ledger.rebuild()
    if as_json:
        echo_json({"before": before, "after": after})
    elif before == after:
        click.echo(f"The tables were rebuilt and are as they were ({after[:12]}).")
    else:
        click.echo(
            f"The tables were rebuilt. They had differed from the events: {before[:12]} before, {after[:12]} now."
        )
    ctx.exit(0 if before == after else 1)
