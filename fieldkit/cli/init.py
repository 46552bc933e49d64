"""``fieldkit init``: make a folder a workspace."""

from __future__ import annotations

import click


@click.command("init")
@click.argument("folder", default=".")
@click.option("--title", help="What the office is called on records and dashboards.")
@click.option("--time-zone", help="An IANA time zone; by default Asia/Shanghai.")
@click.option("--ledger", metavar="URL", help="A PostgreSQL server instead of a file: postgresql+psycopg://…")
def command(folder: str, **values: str | None) -> None:
    """Make FOLDER (by default this one) a workspace: settings, an empty ledger, folders for layers and records."""
    import fieldkit as fk

    ws = fk.init(folder, **{key: value for key, value in values.items() if value is not None})
    click.echo(f"{ws.settings.folder} is a workspace now.")
    click.echo(
        "Next: put district outlines into layers/areas.geojson and place names into layers/places.csv (both optional),"
    )
    click.echo("then take complaints in: fieldkit import FILE --reader csv --dry-run")
