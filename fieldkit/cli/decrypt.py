"""``fieldkit decrypt``: make the ledger's file a plain one again."""

from __future__ import annotations

import click

from fieldkit.cli import asking
from fieldkit.cli.options import json_option, locked_workspace_option
from fieldkit.cli.printing import echo_json


@click.command("decrypt")
@asking.passphrase_option
@locked_workspace_option
@json_option
def command(workspace: str | None, passphrase_file: str | None, as_json: bool) -> None:
    """Make the encrypted ledger a plain file again, which asks for the passphrase even when it is unlocked."""
    import fieldkit as fk

    ws = fk.open(workspace)
    ws.ledger.check_decryption()
    ws.ledger.decrypt(asking.ask_passphrase(passphrase_file))
    if as_json:
        echo_json({"encrypted": False})
    else:
        click.echo("The ledger is a plain file now: whoever has the disk can read it.")
