"""``fieldkit passphrase``: change the passphrase of the encrypted ledger."""

from __future__ import annotations

import click

from fieldkit.cli import asking
from fieldkit.cli.options import json_option, locked_workspace_option
from fieldkit.cli.printing import echo_json


@click.command("passphrase")
@asking.passphrase_option
@click.option(
    "--new-passphrase-file", metavar="FILE", type=click.Path(dir_okay=False), help="The new one, for scripts."
)
@locked_workspace_option
@json_option
def command(
    workspace: str | None, passphrase_file: str | None, new_passphrase_file: str | None, as_json: bool
) -> None:
    """Change the passphrase; the recovery key stays as it is."""
    import fieldkit as fk

    ws = fk.open(workspace)
    ws.ledger.check_decryption()
    key = ws.keys.store.open(asking.ask_passphrase(passphrase_file, "Passphrase as it is"))
    ws.keys.store.set_passphrase(key, asking.new_passphrase(new_passphrase_file))
    if as_json:
        echo_json({"changed": True})
    else:
        click.echo("The passphrase is changed. Copies of the folder keys made before open with the old one.")
