"""``fieldkit restore``: make a new workspace from a backup."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from fieldkit.cli import asking
from fieldkit.cli.options import json_option
from fieldkit.cli.printing import echo_json
from fieldkit.manifests import public_key_of


@click.command("restore")
@click.argument("backup", type=click.Path(file_okay=False))
@click.argument("folder", type=click.Path(file_okay=False))
@click.option(
    "--ledger", metavar="URL", help="Restore into this empty PostgreSQL database instead of a file."
)
@click.option("--key", metavar="KEY", help="The public key that must have signed it: 64 digits, or a file.")
@asking.passphrase_option
@click.option(
    "--recovery-file",
    metavar="FILE",
    help="Open an encrypted one with the recovery key in this file instead.",
)
@json_option
def command(
    backup: str,
    folder: str,
    ledger: str | None,
    key: str | None,
    passphrase_file: str | None,
    recovery_file: str | None,
    as_json: bool,
) -> None:
    """Make a new workspace in FOLDER, empty or absent, from BACKUP, after every byte of it was checked."""
    import fieldkit as fk
    from fieldkit.backups import is_encrypted

    known = None if key is None else public_key_of(key)
    opening: dict[str, Any] = {}
    if is_encrypted(backup):
        if recovery_file is not None:
            opening["recovery"] = asking.ask_recovery(recovery_file)
        else:
            opening["passphrase"] = asking.ask_passphrase(passphrase_file, "Passphrase of the backup")
    result = fk.restore(backup, folder, ledger=ledger, key=known, progress=not as_json, **opening)
    if as_json:
        echo_json(asdict(result))
        return
    click.echo(
        f"{result.folder} is a workspace with the {result.events:,} events and {result.complaints:,} complaints of "
        f"{result.made_at}."
    )
    click.echo(
        f"It writes as a new device, {result.origin}; what {result.backed_up_origin} wrote stays as it was. To see who "
        "complained it needs the office's vault.key in its folder keys."
    )
