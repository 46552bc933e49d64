"""``fieldkit serve``: the dashboards on this machine."""

from __future__ import annotations

from datetime import date

import click

from fieldkit.cli.options import as_of_option, workspace_option


@click.command("serve")
@click.option(
    "--port", type=int, help="The port; by default 8866 or the next free one, 0 takes any free one."
)
@click.option("--browser/--no-browser", default=True, help="Open the page in the browser.")
@as_of_option
@workspace_option
def command(workspace: str | None, port: int | None, browser: bool, as_of: date | None) -> None:
    """Open the dashboards: on this machine only, and only with the token in the address that is printed."""
    import fieldkit as fk

    fk.serve(fk.open(workspace).at(as_of), port=port, open_browser=browser)
