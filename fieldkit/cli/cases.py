"""``fieldkit cases``: list the cases."""

from __future__ import annotations

from typing import Any

import click

from fieldkit.cli.options import as_of_option, filter_options, json_option, workspace_option
from fieldkit.cli.printing import clean, echo_json, echo_table
from fieldkit.evidence import spoilt_words
from fieldkit.vocabulary import label


@click.command("cases")
@filter_options
@click.option("--channel", metavar="CODE", help="A channel, for example phone_12369 or wechat.")
@click.option("--open", "only_open", is_flag=True, help="Only cases that are not closed.")
@click.option(
    "--repeated", is_flag=True, help="Only cases with more than one complaint, the most complaints first."
)
@click.option(
    "--limit", type=click.IntRange(0), default=30, show_default=True, help="How many to show; 0 shows all."
)
@as_of_option
@workspace_option
@json_option
def command(
    workspace: str | None, as_json: bool, only_open: bool, repeated: bool, limit: int, **filters: Any
) -> None:
    """List the cases, the one with the newest complaint first."""
    import fieldkit as fk

    # One more than is shown tells that there are more; the repeated ones have an order of their own.
    most = None if repeated or limit == 0 else limit + 1
    ws = fk.open(workspace)
    cases = ws.cases(**filters, only_open=only_open, limit=most)
    if repeated:
        cases = cases[cases["complaints"] > 1].sort_values("complaints", ascending=False, kind="stable")
    shown = cases if limit == 0 else cases.head(limit)
    spoilt = ws.spoilt_evidence(shown["case"])
    if as_json:
        rows = shown.astype(object).where(shown.notna(), None).to_dict("records")
        echo_json([row | {"spoilt_evidence": spoilt.get(row["case"], {})} for row in rows])
        return
    if cases.empty:
        click.echo("No such cases. `fieldkit cases` lists all, `fieldkit import FILE` takes complaints in.")
        return
    echo_table(
        {
            "number": [row.number or row.case for row in shown.itertuples()],
            "state": list(shown["state"]),
            "category": [label(code) if isinstance(code, str) else "–" for code in shown["category"]],
            "complaints": list(shown["complaints"]),
            "last complaint": list(shown["last_at"]),
            "district": list(shown["district"]),
            "place": [_place(row) for row in shown.itertuples()],
        },
        widest=36,
        right=("complaints",),
    )
    for row in shown.itertuples():
        if counted := spoilt.get(str(row.case)):
            said = f"{spoilt_words(counted, 'zh')} · {spoilt_words(counted)}"
            click.secho(f"{clean(row.number or row.case)}  {said}", fg="red", bold=True)
    if most is not None and len(cases) == most:
        shown_are = "The newest case" if limit == 1 else f"The newest {limit:,} cases"
        click.echo(f"{shown_are}; `--limit 0` shows all. `fieldkit case NUMBER` shows one.")
        return
    click.echo(f"{len(shown):,} of {len(cases):,} cases. `fieldkit case NUMBER` shows one.")


def _place(row: Any) -> str:
    community = row.community if isinstance(row.community, str) else ""
    return community or row.address
