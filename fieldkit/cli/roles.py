"""``fieldkit roles``: who may see who complained."""

from __future__ import annotations

from datetime import date

import click

from fieldkit.cli.options import as_of_option, json_option, workspace_option
from fieldkit.cli.printing import echo_json, echo_table
from fieldkit.roles import ROLES


@click.command("roles")
@click.option("--grant", nargs=2, metavar="NAME ROLE", help="Give somebody a role: opener or keeper.")
@click.option("--revoke", nargs=2, metavar="NAME ROLE", help="Take a role back.")
@as_of_option
@workspace_option
@json_option
def command(
    workspace: str | None,
    as_json: bool,
    as_of: date | None,
    grant: tuple[str, str] | None,
    revoke: tuple[str, str] | None,
) -> None:
    """Show who may see who complained; a keeper gives roles and takes them back."""
    import fieldkit as fk

    ledger = fk.open(workspace).at(as_of).ledger
    if grant:
        ledger.grant(*grant)
    if revoke:
        ledger.revoke(*revoke)
    held = [(name, role) for name, roles in sorted(ledger.roles().items()) for role in sorted(roles)]
    if as_json:
        echo_json([{"name": name, "role": role} for name, role in held])
        return
    if not held:
        click.echo(
            "Nobody has a role yet: whoever takes in the first complaint with a complainant becomes keeper."
        )
        return
    echo_table(
        {
            "name": [name for name, _ in held],
            "role": [role for _, role in held],
            "what it allows": [" · ".join(ROLES[role]) for _, role in held],
        },
        widest=90,
    )
