"""``fieldkit backup``: back the workspace up, or delete old backups."""

from __future__ import annotations

from dataclasses import asdict

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json


@click.command("backup")
@click.argument("target", required=False, type=click.Path(file_okay=False))
@click.option(
    "--prune",
    "keep",
    type=click.IntRange(1),
    metavar="KEEP",
    help="Delete this workspace's backups in TARGET but the newest KEEP good ones, instead of making one.",
)
@click.option("--yes", is_flag=True, help="Delete without asking.")
@workspace_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: str | None,
    keep: int | None,
    yes: bool,
    workspace: str | None,
    as_json: bool,
) -> None:
    """Back the workspace up into a new folder in TARGET (by default its own folder `backups`) while others work.

    The backup is restored once and checked before it is called good. Private keys are not in it.
    """
    import fieldkit as fk

    ws = fk.open(workspace)
    if keep is not None:
        where = target or ws.settings.folder / "backups"
        if not yes:
            click.confirm(f"Delete the backups in {where} but the newest {keep}?", abort=True, err=as_json)
        pruned = fk.prune(ws, target, keep=keep)
        if as_json:
            echo_json(asdict(pruned))
        else:
            click.echo(f"{len(pruned.deleted)} deleted, {len(pruned.kept)} good ones kept.")
            for flag in pruned.flags:
                click.echo(flag)
        ctx.exit(1 if pruned.flags else 0)
    result = fk.back_up(ws, target, progress=not as_json)
    if as_json:
        echo_json(asdict(result))
    else:
        click.echo(
            f"Good: {result.folder} holds {result.events:,} events and {result.complaints:,} complaints, and was "
            "restored once."
        )
        for flag in result.flags:
            click.echo(flag)
    ctx.exit(1 if result.flags else 0)
