"""``fieldkit demo``: the whole way on the 2017 demonstration ledger."""

from __future__ import annotations

import click

from fieldkit.settings import DEMO_FOLDER


@click.command("demo")
@click.option(
    "--folder", default=DEMO_FOLDER, show_default=True, help="Where the demonstration workspace is made."
)
@click.option(
    "--scale",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="The same city this many times larger.",
)
@click.option(
    "--records", "records", default=12, show_default=True, help="For how many cases a record is written."
)
@click.option("--serve/--no-serve", default=True, help="Open the dashboards at the end.")
@click.option("--port", type=int, help="The port of the dashboards; by default 8866 or the next free one.")
def command(folder: str, scale: int, records: int, serve: bool, port: int | None) -> None:
    """Make the 2017 demonstration ledger, find hot spots, write records, and open the dashboards."""
    import fieldkit as fk

    ws = fk.make_demo(folder, scale=scale, records=records, say=click.echo)
    if serve:
        fk.serve(ws, port=port)
