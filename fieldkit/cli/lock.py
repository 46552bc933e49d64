"""``fieldkit lock``: close the encrypted ledger."""

from __future__ import annotations

import click

from fieldkit.cli.options import json_option, locked_workspace_option
from fieldkit.cli.printing import echo_json


@click.command("lock")
@locked_workspace_option
@json_option
def command(workspace: str | None, as_json: bool) -> None:
    """Forget the key that `fieldkit unlock` keeps; programs that have the ledger open keep it until they end."""
    import fieldkit as fk

    was_open = fk.open(workspace).keys.store.close()
    if as_json:
        echo_json({"unlocked": False, "was_unlocked": was_open})
    else:
        click.echo("The ledger is locked." if was_open else "The ledger was not unlocked.")
