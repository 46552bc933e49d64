"""``fieldkit encrypt``: make the ledger's file an encrypted one."""

from __future__ import annotations

import click

from fieldkit.cli import asking
from fieldkit.cli.options import json_option, locked_workspace_option
from fieldkit.cli.printing import echo_json


@click.command("encrypt")
@asking.passphrase_option
@click.option("--yes", is_flag=True, help="Do not ask for a group of the recovery key to be typed back.")
@locked_workspace_option
@json_option
def command(workspace: str | None, passphrase_file: str | None, yes: bool, as_json: bool) -> None:
    """Encrypt the ledger's file under a passphrase, and print the recovery key once."""
    import fieldkit as fk

    ws = fk.open(workspace)
    ws.ledger.check_encryption()
    ws.keys.check_no_recovery_lost()
    passphrase = asking.new_passphrase(passphrase_file)
    recovery = asking.make_recovery(confirm=not yes, show=not as_json)
    ws.encrypt(passphrase, recovery)
    asking.note_disk(ws.settings.folder)
    if as_json:
        echo_json({"encrypted": True, "recovery_key": recovery.text})
    else:
        click.echo("The ledger is encrypted. Unlock it for a session with: fieldkit unlock")
        click.echo("Records, maps, refused rows and copies made before are plain files as they were.")
