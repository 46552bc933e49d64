"""``fieldkit unlock``: open the encrypted ledger for this session."""

from __future__ import annotations

import click

from fieldkit.cli import asking
from fieldkit.cli.options import json_option, locked_workspace_option
from fieldkit.cli.printing import echo_json


@click.command("unlock")
@asking.passphrase_option
@click.option(
    "--idle", type=float, default=12.0, show_default=True, metavar="HOURS",
    help="Lock again when nobody has used it for so long.",
)  # fmt: skip
@locked_workspace_option
@json_option
def command(workspace: str | None, passphrase_file: str | None, idle: float, as_json: bool) -> None:
    """Ask for the passphrase once, and keep the ledger open for every program of this account."""
    import fieldkit as fk

    ws = fk.open(workspace)
    ws.ledger.check_decryption()
    ws.keys.store.open(asking.ask_passphrase(passphrase_file))
    place = ws.keys.store.hold(idle)
    asking.note_disk(ws.settings.folder)
    if as_json:
        echo_json({"unlocked": True, "idle_hours": idle, "file": place})
    else:
        click.echo(
            f"The ledger is unlocked until it has not been used for {idle:g} hours, or until: fieldkit lock"
        )
