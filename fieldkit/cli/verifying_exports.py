"""``fieldkit verify EXPORT``: check an exported folder alone, with a public key."""

from __future__ import annotations

from typing import NoReturn

import click

from fieldkit.cli.printing import clean, echo_json
from fieldkit.manifests import public_key_of


def verify_export_folder(ctx: click.Context, folder: str, key: str | None, as_json: bool) -> NoReturn:
    """Check the export in *folder*, say what is wrong, and end the command."""
    import fieldkit as fk

    known = None if key is None else public_key_of(key)
    problems = fk.verify_export(folder, known, progress=not as_json)
    if as_json:
        echo_json({"export": folder, "problems": [[p.origin, p.sequence, p.message] for p in problems]})
    elif problems:
        for problem in problems:
            click.echo(clean(problem.message))
    elif known is None:
        click.echo(f"{folder} is as somebody signed it. Give --key to know that it was the office.")
    else:
        click.echo(f"{folder} is as it was exported, and signed with the key given.")
    ctx.exit(2 if problems else 0)
