"""``fieldkit analyse``: run an analysis."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fieldkit.cli.options import as_of_option, filter_options, json_option, workspace_option
from fieldkit.cli.printing import echo_json, echo_table

if TYPE_CHECKING:
    import pandas as pd


@click.command("analyse")
@click.argument("name", metavar="NAME")
@filter_options
@click.option(
    "--out", type=click.Path(dir_okay=False), help="Where to write: .html .png .geojson .gpkg .parquet .csv"
)
@click.option("--seed", default=0, show_default=True, help="The seed of everything that is drawn at random.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="An option of the analysis, e.g. resolution=8.",
)
@as_of_option
@workspace_option
@json_option
def command(
    name: str, workspace: str | None, as_json: bool, out: str | None, settings: tuple[str, ...], **given: Any
) -> None:
    """Run the analysis NAME: hotspots, clusters, rhythm, repeats, periods or a plugin's."""
    import fieldkit as fk

    options = dict(map(_option, settings))
    if clash := sorted(options.keys() & {"name", "out", *given}):
        raise click.BadParameter(f"{clash[0]} has an option of its own: --{clash[0]}.", param_hint="--set")
    result = fk.open(workspace).analyse(name, out=out, **given, **options)
    attributes = result.attrs
    if as_json:
        echo_json({**attributes, "rows": len(result), "out": out})
        return
    for key in ("sentence_zh", "sentence"):
        if attributes.get(key):
            click.echo(attributes[key])
    for warning in attributes.get("warnings", ()):
        click.secho(f"Note: {warning}", fg="yellow")
    _show(result)
    if out is not None:
        click.echo(f"Written to {Path(out).resolve()}")


def _option(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise click.BadParameter(f"{text!r} is not KEY=VALUE, for example resolution=8.", param_hint="--set")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def _show(result: pd.DataFrame, most: int = 15) -> None:
    shown = result
    if "hot" in result.columns:
        shown = result[result["hot"]].sort_values("p_value", kind="stable")
    columns = [name for name in shown.columns if name not in ("geometry", "complaint_ids")]
    if shown.index.name:
        shown = shown.reset_index()
        columns = [name for name in shown.columns if name not in ("geometry", "complaint_ids")]
    first = shown.head(most)
    if len(first):
        echo_table({str(name): [_short(value) for value in first[name]] for name in columns}, widest=28)
    if len(shown) > most:
        click.echo(f"… and {len(shown) - most:,} more rows.")


def _short(value: Any) -> Any:
    return f"{value:.4g}" if isinstance(value, float) and value == value else value
