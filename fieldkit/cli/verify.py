"""``fieldkit verify``: check the chains of events and every piece of evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import clean, echo_json, echo_table

if TYPE_CHECKING:
    from fieldkit.casework import EvidenceVerification
    from fieldkit.ledger import Problem


@click.command("verify")
@click.argument("export", required=False, type=click.Path(file_okay=False))
@click.option(
    "--heads",
    "files",
    multiple=True,
    metavar="FILE",
    type=click.Path(dir_okay=False),
    help="Heads that were kept elsewhere (`fieldkit heads --out`): nothing may be missing that they name.",
)
@click.option(
    "--thorough",
    is_flag=True,
    help="Also look whether the database's file is sound and the tables follow from the events; takes longer.",
)
@click.option(
    "--key", metavar="KEY", help="The public key that must have signed EXPORT: 64 digits, or a file."
)
@workspace_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    workspace: str | None,
    as_json: bool,
    files: tuple[str, ...],
    export: str | None,
    key: str | None,
    thorough: bool,
) -> None:
    """Read every event and all evidence again: none may have been changed, removed, inserted or swapped.

    With the folder of an EXPORT that is checked instead, alone: no workspace is needed.
    """
    import fieldkit as fk
    from fieldkit.cli.verifying_exports import verify_export_folder
    from fieldkit.ledger.heads import read_heads

    if export is not None:
        verify_export_folder(ctx, export, key, as_json)

    ws = fk.open(workspace).present
    heads = [head for file in files for head in read_heads(Path(file))]
    problems = ws.verify(heads=heads, thorough=thorough)
    events = ws.ledger.count()["events"]
    evidence = fk.verify_evidence(ws)
    if as_json:
        echo_json(
            {
                "events": events,
                "problems": [[p.origin, p.sequence, p.message] for p in problems],
                "evidence": {
                    "pieces": evidence.pieces,
                    "problems": [asdict(problem) for problem in evidence.problems],
                    "strays": evidence.strays,
                },
            }
        )
    else:
        _say(events, problems, evidence)
    ctx.exit(2 if problems or evidence.problems else 0)


def _say(events: int, problems: Sequence[Problem], evidence: EvidenceVerification) -> None:
    if problems:
        echo_table(
            {"event": [p.sequence for p in problems], "what is wrong": [p.message for p in problems]},
            widest=120,
        )
    else:
        click.echo(f"All {events:,} events are as they were written.")
    for problem in evidence.problems:
        click.secho(clean(problem.message), fg="red")
    if evidence.pieces and not evidence.problems:
        click.echo(f"All {evidence.pieces:,} pieces of evidence are as they were taken in.")
    if evidence.strays:
        click.echo(
            f"Note: {len(evidence.strays)} files in {evidence.strays[0].parents[1]} belong to no case."
        )
