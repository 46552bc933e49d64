"""Build the demonstration from end to end: ledger, hot spots, records; and say where everything is."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from itertools import chain
from pathlib import Path

from fieldkit.casework import Link, link_complaints, receive_complaints
from fieldkit.complaints import Entry
from fieldkit.demo.city import DemoComplaint, make_complaints, previous_year
from fieldkit.demo.figures import periods
from fieldkit.demo.layers import write_workspace_layers
from fieldkit.errors import SettingsError
from fieldkit.records import run_records
from fieldkit.settings import FILE_NAME
from fieldkit.vocabulary import CHANNEL_GROUPS, channels, label, main_categories
from fieldkit.workspace import Workspace, init_workspace, open_workspace

#: The period of the report that the demonstration is modelled on; the end is not included.
PERIOD = (date(2017, 1, 1), date(2017, 12, 1))
_TITLE = "广元市环境投诉（演示） · Guangyuan environmental complaints (demonstration)"


def make_demo(
    folder: str | Path,
    *,
    scale: int = 1,
    records: int = 12,
    say: Callable[[str], None] = print,
    progress: bool = True,
) -> Workspace:
    """Make (or go on with) the demonstration workspace in *folder*, with maps and *records* records.

    *scale* makes the same city so many times larger. *say* is called with one sentence a step. Raises
    :class:`~fieldkit.errors.SettingsError` when *folder* is a workspace of another kind.
    """
    ws = _workspace(Path(folder))
    say(f"1/4  The 2017 demonstration ledger, in {ws.settings.folder}")
    _fill(ws, scale, say, progress)
    say("2/4  What the complaints are about")
    for line in summary(ws):
        say(f"     {line}")
    say("3/4  Hot spots of noise, and the places that complain again and again")
    maps = _draw_maps(ws, say)
    say(f"4/4  Records of the {records} cases that matter most")
    result = run_records(ws, cases_that_matter(ws, records), progress=progress)
    failed = [outcome for outcome in result.outcomes if outcome.state == "failed"]
    for outcome in failed:
        say(f"     The record of case {outcome.number} failed at cell {outcome.cell}: {outcome.reason}")
    say("")
    say(f"Workspace  {ws.settings.folder}")
    if ws.settings.ledger.startswith("sqlite:"):  # the address of a server may hold a password
        say(f"Ledger     {ws.settings.ledger.removeprefix('sqlite:///')}")
    for path in maps:
        say(f"Map        {path}")
    say(
        f"Records    {ws.settings.records}  ({len(result.outcomes) - len(failed)} cases, each .ipynb, .html and .pdf)"
    )
    # Under `uv run` the program is not on the path of the shell that the person types into.
    program = "uv run fieldkit" if "UV_RUN_RECURSION_DEPTH" in os.environ else "fieldkit"
    say(f"Dashboard  {program} serve --workspace {shlex.quote(str(ws.settings.folder))}")
    return ws


def _workspace(folder: Path) -> Workspace:
    if not (folder / FILE_NAME).is_file():
        ws = init_workspace(folder, title=_TITLE, crs="wgs84")
    else:
        ws = open_workspace(folder)
        if ws.settings.title != _TITLE:
            raise SettingsError(
                f"{folder} is a workspace, but not the demonstration's. Give another with --folder."
            )
    if Path(ws.settings.ledger.removeprefix("sqlite:///")).parent != ws.settings.folder:
        raise SettingsError(
            "The variable FIELDKIT_LEDGER names another ledger, which the demonstration would fill. Unset it first."
        )
    write_workspace_layers(ws.settings.layers)
    return ws


def _fill(ws: Workspace, scale: int, say: Callable[[str], None], progress: bool) -> None:
    repeats: list[DemoComplaint] = []
    total = scale * sum(span.total for year in (2016, 2017) for span in periods(year))
    entries = _entries(chain(previous_year(scale=scale), make_complaints(scale=scale)), repeats)
    result = receive_complaints(ws, entries, title="complaints", total=total, progress=progress)
    if result.added:
        _link(ws, repeats)
    say(
        f"     {result.added:,} complaints of 2016 and 2017 taken in, {result.known:,} were there already; "
        f"{result.located:,} placed by name ({result.needs_confirming:,} to confirm), "
        f"{result.without_place:,} without a place"
    )


def _entries(made: Iterable[DemoComplaint], repeats: list[DemoComplaint]) -> Iterator[Entry]:
    for row, demo in enumerate(made, start=1):
        if demo.of is not None:
            repeats.append(demo)
        yield Entry(row, demo.complaint, demo.person, (), {})


def _link(ws: Workspace, repeats: Iterable[DemoComplaint]) -> None:
    named = ws.complaints(columns=("complaint", "number"))
    ids = dict(zip(named["number"], named["complaint"], strict=True))
    links = [
        Link(ids[demo.complaint.number], ids[demo.of], demo.relation, demo.cause, demo.complaint.received_at)
        for demo in repeats
        if demo.of is not None
    ]
    link_complaints(ws, links)


def summary(ws: Workspace) -> list[str]:
    """The report's two tables for its period, as sentences; says that the categories do not add up to the total."""
    frame = ws.complaints(since=PERIOD[0], until=PERIOD[1], columns=("complaint", "channel", "category"))
    groups = frame["channel"].astype("str").map({code: channel.group for code, channel in channels().items()})
    by_group = groups.value_counts()
    by_category = frame["category"].value_counts()
    total, categorised = len(frame), int(by_category.sum())
    lines = [
        f"{total:,} complaints from {PERIOD[0]:%d %B %Y} to the end of November",
        "by channel: " + ", ".join(f"{label(g)} {by_group[g]:,}" for g in CHANNEL_GROUPS if g in by_group),
        "by category: "
        + ", ".join(f"{label(c)} {by_category[c]:,}" for c in main_categories() if by_category.get(c, 0)),
    ]
    if categorised != total:
        lines.append(
            f"The categories add up to {categorised:,} of {total:,}: "
            f"{total - categorised:,} complaints carry no category."
        )
    return lines


def _draw_maps(ws: Workspace, say: Callable[[str], None]) -> list[Path]:
    paths = []
    for name, category in (("hotspots", "noise"), ("clusters", None), ("repeats", None)):
        path = ws.settings.out / f"{name}{'-' + category if category else ''}.html"
        result = ws.analyse(name, category=category, since=PERIOD[0], until=PERIOD[1], out=path)
        paths.append(path)
        if result.attrs.get("sentence"):
            say(f"     {result.attrs['sentence']}")
    return paths


def cases_that_matter(ws: Workspace, number: int) -> list[str]:
    """The numbers of the cases of the period with the most complaints, the most first."""
    cases = ws.cases(since=PERIOD[0], until=PERIOD[1])
    chosen = cases.sort_values(["complaints", "last_at"], ascending=False, kind="stable").head(number)
    return [str(row.number or row.case) for row in chosen.itertuples()]
