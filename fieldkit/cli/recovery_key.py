"""``fieldkit recovery-key``: make a recovery key, for the vault and an encrypted ledger."""

from __future__ import annotations

import click

from fieldkit.cli import asking
from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json


@click.command("recovery-key")
@click.option("--yes", is_flag=True, help="Do not ask for a group of it to be typed back.")
@workspace_option
@json_option
def command(workspace: str | None, yes: bool, as_json: bool) -> None:
    """Make a new recovery key, which alone opens the vault and an encrypted ledger; an earlier one opens no more."""
    import fieldkit as fk

    keys = fk.open(workspace).keys
    keys.check_no_recovery_lost()
    recovery = asking.make_recovery(confirm=not yes, show=not as_json)
    keys.set_recovery(recovery)
    if as_json:
        echo_json({"recovery_key": recovery.text})
    else:
        click.echo("It opens what is kept here from now on; an earlier one does not any more.")
