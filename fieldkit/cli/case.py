"""``fieldkit case``: one case with its timeline."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING, Any

import click

from fieldkit.cases import relation_label
from fieldkit.cli.evidence import exhibit_row, show_exhibits
from fieldkit.cli.options import as_of_option, json_option, workspace_option
from fieldkit.cli.printing import clean, echo_json, echo_table
from fieldkit.complaints import time_text
from fieldkit.vocabulary import label

if TYPE_CHECKING:
    from fieldkit.cases import Case


@click.command("case")
@click.argument("name", metavar="ID")
@as_of_option
@workspace_option
@json_option
def command(name: str, workspace: str | None, as_json: bool, as_of: date | None) -> None:
    """Show the case with this id or number: what was reported, where, and what has happened since."""
    import fieldkit as fk

    ws = fk.open(workspace)
    case = ws.case(name, as_of=as_of)
    record = ws.records(as_of=as_of).get(case.id)
    exhibits = ws.exhibits(case)
    if as_json:
        echo_json(_plain(case, record) | {"evidence": [exhibit_row(one) for one in exhibits]})
        return
    _show(case, ws.settings.zone)
    if exhibits:
        click.echo()
        show_exhibits(exhibits)
    if record:
        click.echo(
            "\nRecord: "
            + ", ".join(str(ws.settings.folder / path) for path in record.get("files", {}).values())
        )
    else:
        click.echo(f"\nNo record yet. `fieldkit records --case {case.number}` writes one.")


def _show(case: Case, zone: Any) -> None:
    first, place = case.first, case.place
    categories = " · ".join(f"{label(code, 'zh')} {label(code)}" for code in first.categories) or "–"
    where = f"{place.lon:.5f}, {place.lat:.5f} ({place.method})" if place else "no place yet"
    if place and place.needs_confirming:
        where += ", needs confirming"
    click.secho(f"Case {clean(case.number)} · {case.state}", bold=True)
    for title, value in (
        ("id", case.id),
        ("category", categories),
        ("place", where),
        ("address", first.address),
        ("community", " · ".join(part for part in (first.community, first.district) if part)),
        ("suspected source", first.suspected_source),
        ("reported", first.text),
        ("", first.translation),
    ):
        if value:
            click.echo(f"{title:>16}  {clean(value)}")
    click.echo()
    moments = case.timeline
    echo_table(
        {
            "when": [time_text(moment.at.astimezone(zone), moment.precision) for moment in moments],
            "what": [f"{moment.zh} · {moment.en}" for moment in moments],
        },
        widest=120,
    )


def _plain(case: Case, record: dict[str, Any] | None) -> dict[str, Any]:
    first, place = case.first, case.place
    return {
        "id": case.id,
        "number": case.number,
        "state": case.state,
        "merged_into": case.merged_into,
        "categories": first.categories,
        "lon": place.lon if place else None,
        "lat": place.lat if place else None,
        "address": first.address,
        "district": first.district,
        "community": first.community,
        "complaints": [
            {
                "id": c.id,
                "number": c.number,
                "received_at": c.complaint.received_at,
                "channel": c.complaint.channel,
                "relation": relation_label(c.relation, c.cause) if c.relation else "",
                "text": c.complaint.text,
            }
            for c in case.complaints
        ],
        "timeline": [asdict(moment) for moment in case.timeline],
        "record": record,
    }
