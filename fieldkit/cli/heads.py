"""``fieldkit heads``: where the chain of each device ends."""

from __future__ import annotations

from pathlib import Path

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json, echo_table


@click.command("heads")
@click.option(
    "--out",
    type=click.Path(dir_okay=False),
    help="Write them to this file, to be kept where nobody can change it.",
)
@workspace_option
@json_option
def command(workspace: str | None, as_json: bool, out: str | None) -> None:
    """Show where the chain of each device ends, signed: kept elsewhere, it proves later that nothing was cut off."""
    import fieldkit as fk
    from fieldkit.files import write_text
    from fieldkit.ledger.heads import heads_text

    heads = fk.open(workspace).ledger.heads()
    if out is not None:
        write_text(Path(out), heads_text(heads))
    if as_json:
        echo_json([head.plain() for head in heads])
        return
    if not heads:
        click.echo("Nothing was written yet. `fieldkit import FILE` takes complaints in.")
        return
    echo_table(
        {
            "device": [head.origin for head in heads],
            "events": [f"{head.sequence:,}" for head in heads],
            "digest of the last": [head.digest.hex()[:16] for head in heads],
            "key": [head.key.hex()[:16] or "none" for head in heads],
            "signed": ["yes" if head.is_genuine else "no" for head in heads],
        },
        right=("events",),
    )
    if out is not None:
        click.echo(
            f"Written to {Path(out).resolve()}. `fieldkit verify --heads FILE` compares with it later."
        )
