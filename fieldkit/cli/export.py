"""``fieldkit export``: write the ledger for other programs."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date

import click

from fieldkit.cli.options import as_of_option, json_option, workspace_option
from fieldkit.cli.printing import echo_json


@click.command("export")
@click.argument("target", type=click.Path())
@click.option(
    "--case",
    "cases",
    multiple=True,
    metavar="ID",
    help="Only this case, by its id or number; may be given several times.",
)
@as_of_option
@workspace_option
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    target: str,
    cases: tuple[str, ...],
    workspace: str | None,
    as_json: bool,
    as_of: date | None,
) -> None:
    """Write every event and the evidence to the new folder TARGET, or complaints and cases to a file.

    FILE.gpkg is a GeoPackage for QGIS, FILE.parquet a GeoParquet for analysts. Neither says who complained, and both
    can be had as of an earlier day.
    """
    import fieldkit as fk

    result = fk.export(fk.open(workspace), target, cases=cases, as_of=as_of, progress=not as_json)
    if as_json:
        echo_json(asdict(result))
    elif result.key:
        click.echo(
            f"{result.path} holds {result.events:,} events and {result.evidence:,} pieces of evidence."
        )
        click.echo(f"To check it: fieldkit verify {result.path} --key {result.key}")
        for flag in result.flags:
            click.echo(flag)
    else:
        click.echo(f"{result.path} holds {result.complaints:,} complaints of {result.cases:,} cases.")
    ctx.exit(1 if result.flags else 0)
