"""``fieldkit init``: make a folder a workspace."""

from __future__ import annotations

import click

from fieldkit.cli import asking


@click.command("init")
@click.argument("folder", default=".")
@click.option("--title", help="What the office is called on records and dashboards.")
@click.option("--time-zone", help="An IANA time zone; by default Asia/Shanghai.")
@click.option("--ledger", metavar="URL", help="A PostgreSQL server instead of a file: postgresql+psycopg://…")
@click.option(
    "--encrypted", is_flag=True, help="Encrypt the ledger under a passphrase; prints the recovery key once."
)
@click.option("--yes", is_flag=True, help="Do not ask for a group of the recovery key to be typed back.")
@asking.passphrase_option
def command(
    folder: str, encrypted: bool, yes: bool, passphrase_file: str | None, **values: str | None
) -> None:
    """Make FOLDER (by default this one) a workspace: settings, an empty ledger, folders for layers and records."""
    import fieldkit as fk

    given = {key: value for key, value in values.items() if value is not None}
    secrets = None
    if encrypted:
        from fieldkit.ledger import check_possible

        # Asked for before anything is made; the empty ledger that is then encrypted has never held a word.
        check_possible(given.get("ledger", "sqlite:///ledger.sqlite"))
        passphrase = asking.new_passphrase(passphrase_file)
        secrets = passphrase, asking.make_recovery(confirm=not yes, show=True)
    ws = fk.init(folder, **given)
    click.echo(f"{ws.settings.folder} is a workspace now.")
    if secrets is not None:
        ws.encrypt(*secrets)
        asking.note_disk(ws.settings.folder)
        click.echo("Its ledger is encrypted. Unlock it for a session with: fieldkit unlock")
    click.echo(
        "Next: put district outlines into layers/areas.geojson and place names into layers/places.csv (both optional),"
    )
    click.echo("then take complaints in: fieldkit import FILE --reader csv --dry-run")
