"""``fieldkit import-export``: take an exported folder in."""

from __future__ import annotations

from dataclasses import asdict

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import echo_json
from fieldkit.manifests import public_key_of


@click.command("import-export")
@click.argument("folder", type=click.Path(file_okay=False))
@click.option("--key", metavar="KEY", help="The public key that must have signed it: 64 digits, or a file.")
@workspace_option
@json_option
def command(folder: str, key: str | None, workspace: str | None, as_json: bool) -> None:
    """Take the whole export in FOLDER into the workspace, all or nothing; what is here already is not added again."""
    import fieldkit as fk

    known = None if key is None else public_key_of(key)
    result = fk.import_export(fk.open(workspace), folder, key=known, progress=not as_json)
    if as_json:
        echo_json(asdict(result))
    else:
        click.echo(
            f"{result.added:,} events and {result.evidence:,} pieces of evidence taken in; {result.known:,} events "
            "were here already."
        )
