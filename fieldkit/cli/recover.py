"""``fieldkit recover``: open with the recovery key what a lost passphrase or key file has closed."""

from __future__ import annotations

import click

from fieldkit.cli import asking
from fieldkit.cli.options import json_option, locked_workspace_option
from fieldkit.cli.printing import echo_json


@click.command("recover")
@click.option(
    "--recovery-file",
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Take the recovery key from the first line of a file, for scripts.",
)
@asking.passphrase_option
@locked_workspace_option
@json_option
def command(
    workspace: str | None, recovery_file: str | None, passphrase_file: str | None, as_json: bool
) -> None:
    """Set a new passphrase with the recovery key, and put vault.key back where it is missing."""
    import fieldkit as fk

    keys = fk.open(workspace).keys
    recovery = asking.ask_recovery(recovery_file)
    keys.check_recovery(recovery)
    passphrase = asking.new_passphrase(passphrase_file) if keys.store.exists else None
    made = keys.recover(recovery, passphrase)
    if as_json:
        echo_json({"made": made})
    else:
        click.echo(f"Made anew: {', '.join(made)}." if made else "The key is right; nothing was missing.")
