"""``fieldkit evidence``: take files in as evidence of a case, list them, make stamped and redacted copies."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from fieldkit.cli.options import as_of_option, json_option, workspace_option
from fieldkit.cli.printing import clean, echo_json, echo_table
from fieldkit.evidence import Evidence, Exhibit, flag_words, place_words, state_words, time_words

if TYPE_CHECKING:
    from fieldkit.casework import EvidenceResult
    from fieldkit.workspace import Workspace


class _Seconds(click.ParamType[float]):
    """Seconds as a number, or as [-]H:MM:SS."""

    name = "seconds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        found = re.fullmatch(r"([+-]?)(?:(\d{1,4}):([0-5]\d):([0-5]\d)|(\d{1,9}(?:\.\d+)?))", str(value))
        if found is None:
            self.fail(f"{value!r} is not a length of time. Write seconds, or H:MM:SS.", param, ctx)
        sign, hours, minutes, seconds, plain = found.groups()
        total = float(plain) if plain else 3600 * int(hours) + 60 * int(minutes) + int(seconds)
        return -total if sign == "-" else float(total)


class _Box(click.ParamType[tuple[int, int, int, int]]):
    """A rectangle as LEFT,TOP,RIGHT,BOTTOM."""

    name = "box"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int, int, int]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{1,6}),(\d{1,6}),(\d{1,6}),(\d{1,6})", str(value).replace(" ", ""))
        if found is None:
            self.fail(f"{value!r} is not a box. Write LEFT,TOP,RIGHT,BOTTOM in pixels.", param, ctx)
        left, top, right, bottom = map(int, found.groups())
        return left, top, right, bottom


@click.group("evidence")
def command() -> None:
    """Keep photographs, recordings and documents of a case, each by the SHA-256 of its bytes."""


@command.command("add")
@click.argument("case", metavar="CASE")
@click.argument("files", metavar="FILE…", nargs=-1, required=True, type=click.Path())
@click.option("--finder", default="", metavar="NAME", help="Who found or took them.")
@click.option("--note", default="", metavar="TEXT", help="What they show.")
@click.option(
    "--clock-offset",
    type=_Seconds(),
    metavar="SECONDS",
    help="By how much the camera's clock was ahead: seconds or H:MM:SS, negative where it was behind.",
)
@workspace_option
@json_option
@click.pass_context
def add(
    ctx: click.Context,
    /,
    case: str,
    files: tuple[str, ...],
    workspace: str | None,
    as_json: bool,
    clock_offset: float | None,
    **said: str,
) -> None:
    """Take files in as evidence of the case with this id or number, all or none."""
    import fieldkit as fk

    ws = fk.open(workspace)
    result = fk.add_evidence(ws, case, files, clock_offset_s=clock_offset, progress=not as_json, **said)
    if as_json:
        groups = {"added": result.added, "known": result.known, "restored": result.restored}
        echo_json({name: [piece.payload() for piece in pieces] for name, pieces in groups.items()})
    else:
        _say_added(result)
    ctx.exit(1 if result.flags else 0)


def _say_added(result: EvidenceResult) -> None:
    for piece in result.added:
        click.echo(f"{piece.short}  {clean(piece.name)}  {piece.type}")
        for part in filter(None, (_when_and_where(piece), _flags(piece))):
            click.echo(f"{'':14}{part}")
    for piece in result.known:
        what = "is there again" if piece in result.restored else "was known"
        click.echo(f"{piece.short}  {clean(piece.name)}  {what}")
    click.echo(f"{len(result.added)} added, {len(result.known)} known.")


@command.command("list")
@click.argument("case", metavar="CASE")
@as_of_option
@workspace_option
@json_option
def list_command(case: str, workspace: str | None, as_json: bool, as_of: date | None) -> None:
    """List the evidence of a case with its state."""
    import fieldkit as fk

    exhibits = fk.open(workspace).exhibits(case, as_of=as_of)
    if as_json:
        echo_json([exhibit_row(one) for one in exhibits])
    elif exhibits:
        show_exhibits(exhibits)
        for piece in (one.piece for one in exhibits if one.piece.flags):
            click.echo(f"{piece.short}  {_flags(piece)}")
    else:
        click.echo("The case has no evidence.")


@command.command("stamp")
@click.argument("case", metavar="CASE")
@click.argument("sha256", metavar="SHA256")
@workspace_option
@json_option
def stamp(case: str, sha256: str, workspace: str | None, as_json: bool) -> None:
    """Copy a picture with its time, its position, the case's number and its short hash in a bar below it."""
    import fieldkit as fk

    ws = fk.open(workspace)
    _say_made(ws, fk.stamp_evidence(ws, case, sha256), as_json)


@command.command("redact")
@click.argument("case", metavar="CASE")
@click.argument("sha256", metavar="SHA256")
@click.option(
    "--box",
    "boxes",
    type=_Box(),
    multiple=True,
    required=True,
    metavar="L,T,R,B",
    help="What to blacken: left, top, right, bottom in pixels; may be given several times.",
)
@workspace_option
@json_option
def redact(
    case: str, sha256: str, boxes: tuple[tuple[int, int, int, int], ...], workspace: str | None, as_json: bool
) -> None:
    """Copy the bare pixels of a picture with the boxes blackened: no metadata, no comment, nothing behind its end."""
    import fieldkit as fk

    ws = fk.open(workspace)
    _say_made(ws, fk.redact_evidence(ws, case, sha256, boxes), as_json)


def _say_made(ws: Workspace, piece: Evidence, as_json: bool) -> None:
    path = ws.evidence.find(piece.sha256)
    if as_json:
        echo_json(piece.payload() | {"path": path})
    else:
        click.echo(f"{piece.short}  {piece.derivation} copy of {piece.original[:12]}")
        click.echo(str(path))


def exhibit_row(exhibit: Exhibit) -> dict[str, Any]:
    """The evidence as JSON: what the ledger says of the piece, its number and its state."""
    return {"number": exhibit.number, "state": exhibit.state, **exhibit.piece.payload()}


def show_exhibits(exhibits: Sequence[Exhibit]) -> None:
    """Print a table of *exhibits*, and each that is missing or altered in red, in words too."""
    echo_table(
        {
            "evidence": [one.piece.short for one in exhibits],
            "name": [one.piece.name for one in exhibits],
            "taken": [time_words(one.piece) or "–" for one in exhibits],
            "where": [place_words(one.piece) or "–" for one in exhibits],
            "found by": [one.piece.finder or "–" for one in exhibits],
            "state": [state_words(one.state) for one in exhibits],
        },
        widest=44,
    )
    for one in exhibits:
        if not one.is_intact:
            zh, en = state_words(one.state, "zh"), state_words(one.state).upper()
            click.secho(
                f"证据{zh} · Evidence {en}: {one.piece.short} {clean(one.piece.name)}",
                fg="red",
                bold=True,
            )


def _when_and_where(piece: Evidence) -> str:
    return " · ".join(filter(None, (time_words(piece), place_words(piece))))


def _flags(piece: Evidence) -> str:
    return "; ".join(flag_words(code) for code in piece.flags)
