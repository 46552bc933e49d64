"""``fieldkit verify``: check the chains of events."""

from __future__ import annotations

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json, echo_table


@click.command("verify")
@click.argument("export", required=False, type=click.Path(file_okay=False))
@click.option(
    "--key", metavar="KEY", help="The public key that must have signed EXPORT: 64 digits, or a file."
)
@workspace_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, export: str | None, key: str | None, workspace: str | None, as_json: bool
) -> None:
    """Read every event again and check that none was changed, removed, inserted or swapped since it was written.

    With the folder of an EXPORT that is checked instead, alone: no workspace is needed.
    """
    import fieldkit as fk
    from fieldkit.cli.verifying_exports import verify_export_folder

    if export is not None:
        verify_export_folder(ctx, export, key, as_json)

    ledger = fk.open(workspace).ledger
    problems = ledger.verify()
    events = ledger.count()["events"]
    if as_json:
        echo_json({"events": events, "problems": [[p.origin, p.sequence, p.message] for p in problems]})
    elif problems:
        echo_table(
            {"event": [p.sequence for p in problems], "what is wrong": [p.message for p in problems]},
            widest=120,
        )
    else:
        click.echo(f"All {events:,} events are as they were written.")
    ctx.exit(2 if problems else 0)
