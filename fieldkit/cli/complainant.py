"""``fieldkit complainant``: who sent a complaint."""

from __future__ import annotations

from dataclasses import asdict

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import clean, echo_json


@click.command("complainant")
@click.argument("complaint", metavar="ID")
@click.option("--reason", required=True, help="Why you have to see it; it is written into the ledger.")
@click.option(
    "--forget", is_flag=True, help="Destroy the person's keys instead, for good; only a keeper may."
)
@click.option("--yes", is_flag=True, help="Do not ask before forgetting.")
@workspace_option
@json_option
def command(
    complaint: str, workspace: str | None, as_json: bool, reason: str, forget: bool, yes: bool
) -> None:
    """Show who sent the complaint with this id or number, if you may; that you looked, and why, is written down."""
    import fieldkit as fk

    ws = fk.open(workspace)
    if forget:
        if not yes:
            click.confirm(
                "Nobody will be able to see any more who sent this complaint and all others of that person. Forget?",
                abort=True,
            )
        number = fk.forget_complainant(ws, complaint, reason=reason)
        if as_json:
            echo_json({"forgotten": number})
            return
        click.echo(f"Forgotten: who sent {number} complaint{'s' * (number != 1)}. The complaints stay.")
        click.echo("Backups made before still hold the keys until they are thrown away.")
        return
    person = fk.open_complainant(ws, complaint, reason=reason)
    if as_json:
        echo_json(None if person is None else asdict(person))
        return
    if person is None:
        click.echo("Nobody is known to have sent it, or the person was forgotten.")
        return
    for title, value in asdict(person).items():
        if value:
            click.echo(f"{title.replace('_', ' '):>16}  {clean(value)}")
