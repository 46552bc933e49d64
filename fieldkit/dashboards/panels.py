"""The panels of a dashboard as plain data: headline figures, bars against the year before, the rhythm, lists.

Every panel is a dict of JSON values; wording is ``{"zh": …, "en": …}``, text that people wrote is a plain string.
Nothing here is HTML: the page shows each string as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from fieldkit.analysis.rhythm import SHORT_WEEKDAYS
from fieldkit.complaints import time_text
from fieldkit.dashboards.selection import NONE, Choice, CodedComplaints, Codes, group_of, in_group
from fieldkit.vocabulary import CHANNEL_GROUPS, channels, label, main_categories

Panel = dict[str, Any]


def words(zh: str, en: str) -> dict[str, str]:
    """One wording in both languages."""
    return {"zh": zh, "en": en}


def named(code: str) -> dict[str, str]:
    """The name of a channel, channel group or category in both languages; :data:`NONE` is "no category"."""
    if code == NONE:
        return words("无类别", "no category")
    if code == "":
        return words("", "")
    return words(label(code, "zh"), label(code, "en"))


def change_text(now: int, before: int) -> str:
    """The change against the year before in percent, signed; '' where there was nothing to compare with."""
    if before == 0:
        return ""
    change = 100 * (now - before) / before
    if change == 0:
        return "0 %"
    return f"{change:+.0f} %" if abs(change) >= 10 else f"{change:+.1f} %"


def headline(data: CodedComplaints, mask: np.ndarray[Any, Any], before: int | None) -> Panel:
    """The figures at the top: complaints, against the year before, cases, and how many have a place on the map."""
    now = int(mask.sum())
    figures = [{"label": words("投诉件数", "complaints"), "value": f"{now:,}", "strong": True}]
    if before is None:
        year = {"value": "–", "note": words("台账未覆盖上年同期", "the ledger does not reach back that far")}
    else:
        year = {"value": f"{before:,}", "note": words(change_text(now, before), change_text(now, before))}
    figures.append({"label": words("上年同期", "same period, year before"), **year})
    if "case" in data.frame:
        figures.append(
            {"label": words("涉及案件", "cases"), "value": f"{data.frame['case'][mask].nunique():,}"}
        )
    located = int((mask & data.located).sum())
    figures.append({"label": words("可上图", "with a place on the map"), "value": f"{located:,}"})
    return {"figures": figures, "sentence": category_sentence(data.category, mask)}


def category_sentence(category: Codes, mask: np.ndarray[Any, Any]) -> dict[str, str] | None:
    """That the categories do not add up to the total, when some complaints carry none; else None."""
    total = int(mask.sum())
    none = int((category.values[mask] < 0).sum())
    if not none or none == total:
        return None
    given = total - none
    carry, have = ("carries" if given == 1 else "carry"), ("has" if none == 1 else "have")
    return words(
        f"{total:,} 件中 {given:,} 件有类别，{none:,} 件无类别；各类别之和不等于总数。",
        f"{given:,} of {total:,} {carry} a category; {none:,} {have} none. The categories do not add up to the total.",
    )


def by_channel(
    now: Mapping[str, int], before: Mapping[str, int] | None, opened: str | None = None
) -> list[Panel]:
    """Bars by channel group in the published order.

    Below a group of several channels stand its channels: of every group, or only of the one that *opened* (a
    channel, or a group as :func:`~fieldkit.dashboards.selection.in_group` names it) belongs to.
    """
    order = {code: place for place, code in enumerate(channels())}
    present = sorted({*now, *(before or {})} - {NONE}, key=lambda code: (order.get(code, len(order)), code))
    groups = dict.fromkeys([g for g in CHANNEL_GROUPS if any(group_of(c) == g for c in present)])
    rows = []
    for group in [*groups, *(c for c in present if group_of(c) not in CHANNEL_GROUPS)]:
        members = [code for code in present if group_of(code) == group]
        if len(members) == 1:
            # "Other channels" says less than the one channel that it stands for.
            name = named(members[0] if group == "elsewhere" else group)
            rows.append(_bar(members[0], name, now, before, members, 0))
            continue
        rows.append(_bar(in_group(group), named(group), now, before, members, 0))
        if opened is None or in_group(group) == opened or opened in members:
            rows += [_bar(code, named(code), now, before, [code], 1) for code in members]
    if NONE in now:
        rows.append(_bar("", words("渠道不详", "not recorded"), now, before, [NONE], 0))
    return rows


def by_category(now: Mapping[str, int], before: Mapping[str, int] | None) -> list[Panel]:
    """Bars by main category in the order of the annual report; those without one come last."""
    order = {code: place for place, code in enumerate(main_categories())}
    codes = sorted({*now, *(before or {})} - {NONE}, key=lambda code: (order.get(code, len(order)), code))
    rows = [_bar(code, named(code), now, before, [code], 0) for code in codes]
    if now.get(NONE) or (before or {}).get(NONE):
        rows.append(_bar(NONE, named(NONE), now, before, [NONE], 0))
    return rows


def _bar(
    key: str,
    name: dict[str, str],
    now: Mapping[str, int],
    before: Mapping[str, int] | None,
    members: Sequence[str],
    level: int,
) -> Panel:
    count = sum(now.get(code, 0) for code in members)
    earlier = None if before is None else sum(before.get(code, 0) for code in members)
    change = "" if earlier is None else change_text(count, earlier)
    return {"key": key, "label": name, "now": count, "before": earlier, "change": change, "level": level}


def rhythm(counts: np.ndarray[Any, Any], left_out: int) -> Panel:
    """The heat map of complaints by weekday and hour: rows, the highest count, and how many have no hour."""
    panel: Panel = {
        "rows": [
            {"label": words(zh, en), "cells": row}
            for (zh, en), row in zip(SHORT_WEEKDAYS, counts.tolist(), strict=True)
        ],
        "most": int(counts.max()),
    }
    if left_out and not panel["most"]:
        panel["note"] = words(
            f"{left_out:,} 件投诉均无具体时刻，看不出一天中的规律。",
            f"None of the {left_out:,} complaints has an hour, so there is no rhythm to show.",
        )
    elif left_out:
        panel["note"] = words(
            f"{left_out:,} 件无具体时刻，未计入", f"{left_out:,} without an hour are not counted"
        )
    return panel


def places(ranked: pd.DataFrame, known_to: str = "day") -> list[Panel]:
    """The rows of the list of places, as :func:`fieldkit.analysis.repeats.rank_places` ranks them.

    Beside each stands the span of its complaints in months, or in years when the ledger is *known_to* the year only.
    """
    form = "%Y" if known_to == "year" else "%Y-%m"
    rows = []
    for number, row in enumerate(rows_of(ranked)):
        first, last = _moment(row.first_at, form), _moment(row.last_at, form)
        short = last.removeprefix(first[:5]) if form == "%Y-%m" else last  # 2017-01 – 11
        span = first if first == last else f"{first} – {short}"
        rows.append(
            {"id": number, "name": str(row.name), "count": int(row.complaints), "note": span, "kind": "place"}
        )
    return rows


def hot_spots(spots: pd.DataFrame, language: str = "both") -> list[Panel]:
    """The rows of the list of hot spots of :func:`fieldkit.dashboards.spots.spots_of`, with their number of cells."""
    unit = "cells" if language == "en" else "格"
    return [
        {
            "id": str(row.spot),
            "name": str(row.name),
            "count": int(row.complaints),
            "note": (f"{row.cells} {unit} · " if row.cells > 1 else "")
            + ("q < 0.01" if row.q_value < 0.01 else "q < 0.05"),
            "kind": "hotspot",
        }
        for row in rows_of(spots.head(30))
    ]


def rows_of(frame: pd.DataFrame) -> Iterable[Any]:
    """The rows of *frame* as tuples with a name for each column."""
    return frame.itertuples(index=False)


def _moment(moment: Any, form: str) -> str:
    return "" if pd.isna(moment) else str(moment.strftime(form))


def complaint_rows(
    rows: pd.DataFrame,
    texts: Mapping[str, tuple[str, str]],
    has_record: Callable[[str], bool],
    alarms: Mapping[str, dict[str, str]],
) -> list[Panel]:
    """The list of complaints behind a place: number, date, channel, category, text, whether a record lies ready.

    *alarms* are the words, by case, for evidence that is missing or altered.
    """
    records: dict[str, bool] = {}
    listed = []
    for row in rows.to_dict("records"):
        case = str(row.get("case") or "")
        if case and case not in records:
            records[case] = has_record(case)
        text, translation = texts.get(str(row["complaint"]), ("", ""))
        listed.append(
            {
                "complaint": str(row["complaint"]),
                "number": str(row.get("number") or row["complaint"]),
                "date": moment_text(row["received_at"], row.get("precision")),
                "channel": named(_code(row.get("channel"))),
                "category": named(_code(row.get("subcategory")) or _code(row.get("category")) or NONE),
                "text": text,
                "translation": translation,
                "case": case,
                "record": records.get(case, False),
                "alarm": alarms.get(case, words("", "")),
            }
        )
    return listed


def _code(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value)


def moment_text(moment: Any, precision: Any) -> str:
    """A moment as exactly as it is known (:func:`~fieldkit.complaints.time_text`), '' where there is none."""
    return "" if pd.isna(moment) else time_text(moment, str(precision))


def filter_options(data: CodedComplaints) -> dict[str, list[Panel]]:
    """What each filter offers: only what occurs, in the published order, with its number of complaints."""
    everything = np.ones(len(data), dtype=bool)
    category = by_category(data.category.count(everything), None)
    channel = by_channel(data.channel.count(everything), None)
    districts = data.district.count(everything)
    district = [
        {"key": name, "label": words(name, ""), "now": districts[name]}
        for name in sorted(data.district.names, key=lambda name: (-districts[name], name))
    ]
    return {
        "category": category,
        "channel": [row for row in channel if row["key"]],
        "district": district,
    }


def period_options(data: CodedComplaints) -> list[Panel]:
    """The periods offered beside free dates: everything, the last twelve months, and each year, newest first."""
    if data.first_day is None or data.last_day is None:
        return []
    first, last = data.first_day, data.last_day
    earlier = Choice(since=last).year_before.since
    options = [_period("全部", "all", first, last)]
    if earlier is not None and earlier > first and not (last.month == 12 and last.day == 31):
        options.append(_period("近十二个月", "last 12 months", earlier + timedelta(days=1), last))
    for year in range(last.year, max(first.year, last.year - 11) - 1, -1):
        start, end = first.replace(year=year, month=1, day=1), last.replace(year=year, month=12, day=31)
        options.append(
            _period(f"{year}", f"{year}", max(start, first) if year == first.year else start, min(end, last))
        )
    everything = {"since": first.isoformat(), "until": last.isoformat()}
    return options[:1] + [option for option in options[1:] if not everything.items() <= option.items()]


def opening_period(data: CodedComplaints, options: list[Panel]) -> Panel:
    """The period a page opens with: the current year, early in it the last twelve months, where the ledger also
    holds the year before to compare with; else everything.
    """
    early = data.last_day is not None and data.last_day.month <= 3
    years = [option for option in options if option["label"]["en"].isdigit()]
    for option in options[1:] if early else years[:1]:
        choice = Choice(since=date.fromisoformat(option["since"]), until=date.fromisoformat(option["until"]))
        if data.covers(choice.year_before):
            return option
    return options[0]


def _period(zh: str, en: str, since: Any, until: Any) -> Panel:
    return {"label": words(zh, en), "since": since.isoformat(), "until": until.isoformat()}
