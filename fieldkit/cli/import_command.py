"""``fieldkit import``: take complaints in from a file."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING, Any

import click

from fieldkit.cli.options import json_option, workspace_option
from fieldkit.cli.printing import clean, echo_json, echo_table
from fieldkit.complaints import time_text
from fieldkit.errors import UnknownReferenceSystem
from fieldkit.places import REFERENCE_SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fieldkit.casework import ImportResult

#: What a complaint is of little use without, and the fields that say it.
_WANTED = {
    "the complaint's text": {"text"},
    "its category": {"category"},
    "its place": {"lon", "address", "community"},
}


@click.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(dir_okay=False))
@click.option(
    "--reader",
    default="csv",
    show_default=True,
    help="csv, excel, geojson, open311, nyc311 or a plugin's name.",
)
@click.option(
    "--mapping", metavar="TOML", type=click.Path(), help="A small TOML file that says which column is what."
)
@click.option("--crs", type=click.Choice(REFERENCE_SYSTEMS), help="The reference system of the coordinates.")
@click.option("--source", help="Whose numbering the file follows, if several offices number alike.")
@click.option("--sheet", help="The sheet of a workbook; by default the first.")
@click.option("--dry-run", is_flag=True, help="Show what would happen with the first rows; change nothing.")
@workspace_option
@json_option
@click.pass_context
def command(
    ctx: click.Context, /, files: tuple[str, ...], workspace: str | None, as_json: bool, **given: Any
) -> None:
    """Take the complaints in FILES in; rows that cannot be used are flagged and written out to be mended."""
    import fieldkit as fk

    ws = fk.open(workspace)
    results = []
    for file in files:
        try:
            result = fk.import_complaints(ws, file, progress=not as_json, **given)
        except UnknownReferenceSystem as error:
            if not sys.stdin.isatty():
                raise
            click.echo(str(error))
            crs = click.prompt("Reference system", type=click.Choice(REFERENCE_SYSTEMS))
            result = fk.import_complaints(ws, file, progress=not as_json, **{**given, "crs": crs})
        results.append(result)
        if not as_json:
            _show(result)
            if result.refused_path is not None:
                click.echo(
                    f"The refused rows are in {result.refused_path}. Mend them there, then take them in with"
                )
                click.echo(f"  {_again(result, given)}")
                click.echo(
                    "They are whole rows and may name who complained: delete the file when it is mended."
                )
    if as_json:
        echo_json([summary(result) for result in results])
    ctx.exit(1 if any(result.flags for result in results) else 0)


def _again(result: ImportResult, given: Mapping[str, Any]) -> str:
    """The command that imports the mended rows as this one imported the file."""
    words = ["fieldkit", "import", str(result.refused_path)]
    for name in ("reader", "mapping", "crs", "source"):
        if given[name] and (name, given[name]) != ("reader", "csv"):
            words += [f"--{name}", str(given[name])]
    return shlex.join(words)


def summary(result: ImportResult) -> dict[str, Any]:
    """The result of an import as plain values."""
    return {
        "path": result.path,
        "reader": result.reader,
        "dry_run": result.dry_run,
        "encoding": result.encoding,
        "crs": result.crs,
        "mapping": dict(result.mapping),
        "unused": list(result.unused),
        "read": result.read,
        "added": result.added,
        "known": result.known,
        "refused": result.refused,
        "located": result.located,
        "needs_confirming": result.needs_confirming,
        "without_place": result.without_place,
        "flags": dict(result.flags),
        "refused_path": result.refused_path,
        "seconds": round(result.seconds, 2),
    }


def _show(result: ImportResult) -> None:
    click.secho(
        f"{result.path.name}, read as {result.reader}" + (f" ({result.encoding})" if result.encoding else ""),
        bold=True,
    )
    if result.mapping:
        click.echo("Columns, as understood (say otherwise with --mapping):")
        echo_table({"field": list(result.mapping), "column": list(result.mapping.values())})
    if result.unused:
        click.echo(f"Left out: {', '.join(map(clean, result.unused))}")
        missing = [what for what, fields in _WANTED.items() if not fields & set(result.mapping)]
        if missing:
            click.secho(f"Note: no column was recognised as {' or '.join(missing)}.", fg="yellow")
    if result.dry_run:
        _show_preview(result)
    would = "would be " if result.dry_run else ""
    click.echo(
        f"{result.read:,} rows read, {result.added:,} {would}added, {result.known:,} already there, "
        f"{result.refused:,} refused; {result.located:,} placed by the gazetteer "
        f"({result.needs_confirming:,} to confirm), {result.without_place:,} without a place. {result.seconds:.1f} s."
    )
    if result.flags:
        _show_flags(result)


def _show_preview(result: ImportResult) -> None:
    shown = result.preview[:5]
    click.echo("The first rows would become:")
    echo_table(
        {
            "number": [c.number for c in shown],
            "received": [time_text(c.received_at, c.precision) for c in shown],
            "channel": [c.channel for c in shown],
            "category": [", ".join(c.categories) or f"– ({c.reported_type})" for c in shown],
            "place": [f"{c.place.lon:.5f}, {c.place.lat:.5f}" if c.place else "–" for c in shown],
            "text": [c.text for c in shown],
        }
    )


def _show_flags(result: ImportResult) -> None:
    first = {flag.code: flag for flag in reversed(result.examples)}
    codes = list(result.flags)
    click.echo("Flags:")
    echo_table(
        {
            "code": codes,
            "rows": [f"{result.flags[code]:,}" for code in codes],
            "first": [first[code].row if code in first else "" for code in codes],
            "meaning": [first[code].message if code in first else "" for code in codes],
        },
        widest=240,
        right=("rows", "first"),
    )
