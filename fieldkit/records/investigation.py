"""Everything the ledger shows of one case, as the parts that a notebook shows and a record prints."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any

from fieldkit import events, fonts
from fieldkit.cases import Case, CaseComplaint, Moment, relation_label
from fieldkit.complaints import time_text
from fieldkit.errors import RecordError
from fieldkit.evidence import Exhibit
from fieldkit.places import Place, distances_m
from fieldkit.records import parts
from fieldkit.records.parts import Part, Wording, both, wordings
from fieldkit.vocabulary import label

if TYPE_CHECKING:
    import pandas as pd

    from fieldkit.workspace import Workspace

#: At most so many earlier complaints of other cases are listed one by one; the sentence below the table counts all.
NEIGHBOURS_LISTED = 30

_NOT_RECORDED = both("未记录", "not recorded")
_STATES = {
    "REGISTERED": both("已登记", "registered"),
    "CLOSED": both("来源渠道均已办结", "reported closed by its source"),
    "MERGED": both("已并入另案", "merged into another case"),
}
_METHODS = {
    "given": both("坐标随投诉提供", "coordinates came with the complaint"),
    "gazetteer": both("按地名库匹配", "found by name in the gazetteer"),
    "confirmed": both("已由工作人员核实", "confirmed by an officer"),
}
# Evidence has a section of its own; in the timeline its words are wider than the relation's column.
_EVIDENCE = (events.EVIDENCE_ADDED, events.EVIDENCE_DERIVED)
_COLUMNS = ("complaint", "case", "number", "received_at", "precision", "occurred_at", "channel", "category", "text",
            "district", "community", "address", "lon", "lat")  # fmt: skip


def investigation(
    ws: Workspace,
    case_id: str = "",
    *,
    radius_m: float = 200,
    language: str = "both",
    as_of: date | datetime | None = None,
) -> Investigation:
    """Open what the ledger shows of one case, by its id or number; without one, of the case with most complaints.

    *radius_m* is how far, in metres from the case's place, earlier complaints of the same main category count as
    neighbours. *language* is ``zh``, ``en`` or ``both``. With *as_of* it is what was known at that moment, or at the
    end of that day. Raises :class:`~fieldkit.errors.UnknownCase` for a case that is not there, :class:`RecordError` for
    a radius or language that cannot be used or a ledger without cases.
    """
    if isinstance(radius_m, bool) or not isinstance(radius_m, (int, float)) or not 0 < radius_m <= 20_000:
        raise RecordError(f"radius_m is {radius_m!r}. Give a distance between 0 and 20,000 metres.")
    if language not in ("zh", "en", "both"):
        raise RecordError(f"language is {language!r}. Use zh, en or both.")
    ws = ws.at(as_of)
    return Investigation(ws, ws.case(case_id or _weightiest(ws)), float(radius_m), language)


def _weightiest(ws: Workspace) -> str:
    cases = ws.cases()
    if cases.empty:
        raise RecordError("The ledger holds no case yet. Take complaints in first: fieldkit import FILE.")
    order = cases.sort_values(["complaints", "first_at", "case"], ascending=[False, True, True])
    return str(order["case"].iloc[0])


@dataclass(frozen=True)
class Investigation:
    """One case as its record shows it: each method gives one part; who complained is in none of them."""

    workspace: Workspace
    case: Case
    radius_m: float
    language: str

    @cached_property
    def neighbours(self) -> pd.DataFrame:
        """Complaints of other cases within *radius_m* metres of the place, of the same main category, received before
        the case's latest one; oldest first, with ``distance_m``. Empty when the case has no place."""
        import pandas as pd

        place = self.case.place
        if place is None or not self.case.complaints:
            return pd.DataFrame(columns=[*_COLUMNS, "distance_m"])
        near = (place.lon, place.lat, self.radius_m)
        frame = pd.DataFrame(
            self.workspace.complaints(category=self.case.category, near=near, columns=list(_COLUMNS))
        )
        latest = self.case.complaints[-1].complaint.received_at
        frame = frame[(frame["case"] != self.case.id) & (frame["received_at"] < latest)].reset_index(
            drop=True
        )
        lons, lats = frame["lon"].to_numpy(dtype=float), frame["lat"].to_numpy(dtype=float)
        return frame.assign(distance_m=distances_m(place.lon, place.lat, lons, lats))

    @cached_property
    def complaints(self) -> pd.DataFrame:
        """The case's own complaints and its neighbours as one frame, oldest first."""
        import pandas as pd

        own = pd.DataFrame(self.workspace.complaints(case=self.case.id, columns=list(_COLUMNS)))
        frame = own if self.neighbours.empty else pd.concat([own, self.neighbours[list(_COLUMNS)]])
        return frame.sort_values(["received_at", "complaint"], ignore_index=True)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of everything this record is made from; equal means that the record would be the same."""
        own = [
            [c.id, c.relation, c.cause, events.complaint_payload(c.complaint)] for c in self._founding_first
        ]
        happened = [[m.at.isoformat(), m.kind, m.zh] for m in self._moments]
        near = [[str(value) for value in row] for row in self.neighbours.itertuples(index=False)]
        settings = self.workspace.settings
        layer = settings.layers / "areas.geojson"
        areas = hashlib.sha256(layer.read_bytes()).hexdigest() if layer.is_file() else ""
        evidence = [[one.piece.payload(), one.state] for one in self.evidence]
        said = [self.case.id, self.case.state, own, happened, near, settings.title, settings.time_zone, areas]
        said.append(evidence)
        return hashlib.sha256(events.canonical(said).encode()).hexdigest()

    def facts(self) -> Part:
        """Number, state, times, channels, category, place with how it was come by, address, suspected source."""
        case, first = self.case, self.case.first
        received = [c.complaint for c in case.complaints]
        category: Wording = _NOT_RECORDED
        if first.categories:
            category = both(*("、".join(label(code, "zh") for code in first.categories),
                              ", ".join(label(code) for code in first.categories)))  # fmt: skip
        rows: list[tuple[Wording, Wording, Wording]] = [
            (both("案件编号", "Case number"), case.number, "" if case.number == case.id else f"ID {case.id}"),
            (both("状态", "State"), _STATES.get(case.state, case.state), case.merged_into or ""),
            (both("首次收到", "First received"), self._time(first), ""),
            (both("最近收到", "Last received"), self._time(received[-1]) if len(received) > 1 else "", ""),
            (both("投诉件数", "Complaints"), str(len(received)) if len(received) > 1 else "", ""),
            (both("渠道", "Channel"), _channels([c.channel for c in received or [first]]), ""),
            (both("类别", "Category"), category, _reported_as(first.reported_type)),
            (both("发生时间", "Occurred"), self._occurred(), ""),
            (both("地点", "Place"), *_place_words(case.place)),
            (both("地址", "Address"), case.address or _NOT_RECORDED, ""),
            (both("区县", "District"), case.district, ""),
            (both("社区（小区）", "Community"), case.community, ""),
            (both("涉嫌污染源", "Suspected source"), first.suspected_source or _NOT_RECORDED, ""),
        ]
        if as_of := self.workspace.as_of_text:
            rows.insert(0, (both("台账截至", "As recorded until"), as_of, ""))
        return parts.facts(both("案件概况", "The case"), rows, self.language)

    def what_was_reported(self) -> Part:
        """Every complaint's words as they were sent, and the translation; a text that came again is counted."""
        seen: dict[tuple[str, str], list[CaseComplaint]] = {}
        for one in self._founding_first:
            if one.complaint.text or one.complaint.translation:
                seen.setdefault((one.complaint.text, one.complaint.translation), []).append(one)
        items: list[tuple[Wording, Wording, Wording]] = []
        for (text, translation), ones in seen.items():
            # The original always; the translation unless the reader's one language is the original's.
            needed = self.language == "both" or _is_chinese(text) != (self.language == "zh")
            items.append((self._said_by(ones), text, translation if needed else ""))
        if not items:
            items = [("", both("台账中没有投诉文字。", "The ledger holds no words of the complaint."), "")]
        return parts.paragraphs(both("反映内容", "What was reported"), items, self.language)

    def still_map(self) -> Part:
        """A picture of the place with the neighbours around it, or the sentence that the case has no place."""
        from fieldkit.records.pictures import draw_place

        title = both("位置图", "Where it is")
        if self.case.place is None:
            sentence = both("本案没有地点，无法绘图。", "The case has no place, so there is no map.")
            return parts.paragraphs(title, [("", sentence, "")], self.language)
        radius, count = f"{self.radius_m:g}", len(self.neighbours)
        zh = f"十字为本案地点，半径 {radius} 米内此前有同类投诉 {count} 件（另案）。WGS-84 坐标，上北。"
        en = f"The cross is the place of the case; within {radius} m there were {count} earlier complaints"
        caption = both(zh, f"{en} of the same category in other cases. WGS-84, north up.")
        png = draw_place(self)
        return parts.picture(
            title, png, alternative=title, caption=caption, width_mm=170, language=self.language
        )

    def timeline(self) -> Part:
        """The matter in order of time: the case's complaints, what was done, and earlier complaints nearby."""
        rows = [*self._own_rows(), *self._neighbour_rows()]
        rows.sort(key=lambda row: row[0])
        return parts.table(
            both("事项时间线", "Timeline of the matter"),
            [both("序", "No."), both("时间", "When"), both("编号、渠道", "Number, channel"),
             both("与本案关系", "Relation to the case"), both("内容", "Text")],
            [[str(index), *cells] for index, (_, _, cells) in enumerate(rows, 1)],
            widths=[0.8, 2.6, 3.0, 2.8, 5.8],
            marked=[] if self.neighbours.empty else [index for index, (_, own, _) in enumerate(rows) if own],
            note=self._timeline_note(),
            language=self.language,
        )  # fmt: skip

    @cached_property
    def evidence(self) -> tuple[Exhibit, ...]:
        """The evidence of the case, each piece with its state on disk."""
        return self.workspace.exhibits(self.case)

    def exhibits(self) -> Part:
        """Each piece of evidence with a small picture, when and where it was taken, its finder and its digest; what is
        missing or altered in red."""
        from fieldkit.records.exhibits import exhibits_part

        return exhibits_part(self.evidence, self.workspace.evidence, self.language)

    def rhythm(self) -> Part:
        """When complaints about the matter were made, by hour and weekday, as a picture with a sentence."""
        from fieldkit.analysis.rhythm import count_rhythm
        from fieldkit.records.pictures import draw_rhythm

        title = both("投诉的时段规律", "Rhythm by hour and weekday")
        counts = count_rhythm(self.complaints)
        said = both(str(counts.attrs.get("sentence_zh", "")), str(counts.attrs.get("sentence", "")))
        if int(counts.to_numpy().sum()) == 0:
            return parts.paragraphs(title, [("", said, "")], self.language)
        png = draw_rhythm(counts, self.language)
        return parts.picture(title, png, alternative=said, caption=said, width_mm=165, language=self.language)

    def missing(self) -> Part:
        """What the ledger does not hold yet and an investigation needs."""
        received = [c.complaint for c in self._founding_first]
        first, place = self.case.first, self.case.place
        found: list[Wording] = []
        if place is None:
            found.append(both("没有地点：请补充地址并定位。", "No place: find the address and locate it."))
        elif place.needs_confirming:
            found.append(
                both("地点按地名匹配得来，尚未核实。", "The place was found by name and is not confirmed.")
            )
        elif place.method != "confirmed":
            found.append(both("地点尚未由工作人员核实。", "No officer has confirmed the place."))
        if not first.categories:
            found.append(both("没有污染类别。", "No category."))
        if not any(c.suspected_source for c in received):
            found.append(both("没有涉嫌污染源。", "No suspected source."))
        if not any(c.address or c.community for c in received):
            found.append(both("没有地址。", "No address."))
        if not any(c.text or c.translation for c in received):
            found.append(both("没有投诉文字。", "No words of the complaint."))
        if not any(c.occurred_at for c in received):
            found.append(both("未记录污染何时发生。", "When it occurs is not recorded."))
        if coarse := sum(c.precision not in ("second", "hour") for c in received):
            en = f"The hour of receipt is not known for {coarse} of {len(received)} complaints."
            found.append(both(f"{coarse} 件投诉的收到时间不精确到小时。", en))
        if spoilt := sum(not one.is_intact for one in self.evidence):
            en = f"Evidence that is missing or altered: {spoilt}."
            found.append(both(f"证据缺失或已改动：{spoilt} 件。", en))
        found.append(
            both("台账中没有现场检查和监测数据。", "The ledger holds no site visit and no measurement.")
        )
        nothing = both("没有发现缺项。", "Nothing was found missing.")
        return parts.gaps(both("尚缺事项", "Still missing"), found, none=nothing, language=self.language)

    @cached_property
    def _founding_first(self) -> list[CaseComplaint]:
        """The case's complaints; of a case that was merged away, the one that opened it."""
        return list(self.case.complaints) or [self.case.founding]

    @cached_property
    def _moments(self) -> list[Moment]:
        # Complaints have rows of their own, and a record that names its own writing, or who looked at whose name,
        # would never be up to date.
        hidden = {events.COMPLAINT_RECEIVED, events.COMPLAINT_LINKED, *events.NOT_DATA}
        shown = [moment for moment in self.case.timeline if moment.kind not in hidden]
        return [_together(list(same)) for _, same in groupby(shown, key=lambda one: (one.at, one.kind))]

    def _time(self, complaint: Any) -> str:
        return self._format(complaint.received_at, complaint.precision)

    def _format(self, moment: datetime, precision: str = "second") -> str:
        return time_text(moment.astimezone(self.workspace.settings.zone), precision)

    def _occurred(self) -> str:
        moments = [c.complaint.occurred_at for c in self._founding_first if c.complaint.occurred_at]
        if len(moments) > 1:
            return f"{self._format(min(moments))} … {self._format(max(moments))}"
        return self._format(moments[0]) if moments else ""

    def _said_by(self, ones: list[CaseComplaint]) -> str:
        """When, which and through what: no name, since none is known here."""
        first, more = ones[0], len(ones) - 1
        said = [_line(_channel(first.complaint.channel), self.language)]
        if more:
            said.append(_line(both(f"另有 {more} 件内容相同", f"{more} more say the same"), self.language))
        return " · ".join([self._time(first.complaint), first.number, *said])

    def _relation(self, one: CaseComplaint) -> Wording:
        if one.id == self.case.id:
            return both("首次投诉", "first complaint")
        return both(relation_label(one.relation, one.cause, "zh"), relation_label(one.relation, one.cause))

    def _own_rows(self) -> Iterator[tuple[datetime, bool, list[Wording]]]:
        for one in self.case.complaints:
            c = one.complaint
            source = _numbered(one.number, c.channel)
            words = _excerpt(c.text or c.translation)
            yield c.received_at, True, [self._time(c), source, self._relation(one), words]
        for moment in self._moments:
            said = both(moment.zh, moment.en)
            told = [both("证据", "evidence"), said] if moment.kind in _EVIDENCE else [said, ""]
            yield moment.at, True, [self._format(moment.at), "", *told]

    def _neighbour_rows(self) -> Iterator[tuple[datetime, bool, list[Wording]]]:
        for row in self.neighbours.tail(NEIGHBOURS_LISTED).to_dict("records"):
            received: datetime = row["received_at"].to_pydatetime()
            far = f"{row['distance_m']:.0f}"
            relation = both(f"另案，距此 {far} 米", f"another case, {far} m away")
            if far == "0":
                relation = both("另案，同一地点", "another case, same place")
            source = _numbered(str(row["number"] or row["complaint"]), str(row["channel"]))
            when = self._format(received, str(row["precision"]))
            yield received, False, [when, source, relation, _excerpt(str(row["text"]))]

    def _timeline_note(self) -> Wording:
        total, listed = len(self.neighbours), min(len(self.neighbours), NEIGHBOURS_LISTED)
        if self.case.place is None:
            return both(
                "本案没有地点，未查找附近的投诉。", "The case has no place, so none were looked for nearby."
            )
        radius = f"{self.radius_m:g}"
        if total == 0:
            en = f"Within {radius} m there were no earlier complaints of the same category."
            return both(f"半径 {radius} 米内此前没有其他同类投诉。", en)
        cases = self.neighbours["case"].nunique()
        zh = f"着色行属于本案。半径 {radius} 米内此前另有 {total} 件同类投诉（{cases} 个案件）"
        en = f"Shaded rows belong to this case. Within {radius} m there were {total} earlier complaints"
        en = f"{en} of the same category, in {cases} other cases"
        if listed < total:
            return both(f"{zh}，仅列出最近 {listed} 件。", f"{en}; the latest {listed} are listed.")
        return both(zh + "。", en + ".")


def _together(same: list[Moment]) -> Moment:
    """What happened in one go as one line: pieces of evidence that were added together are counted, not listed."""
    first, count = same[0], len(same)
    if count == 1 or first.kind != events.EVIDENCE_ADDED:
        return first
    return replace(first, zh=f"证据入卷 {count} 件", en=f"{count} pieces of evidence added")


def _channel(code: str) -> Wording:
    return both(label(code, "zh"), label(code))


def _numbered(number: str, channel: str) -> Wording:
    return both(f"{number} {label(channel, 'zh')}", label(channel))


def _channels(codes: list[str]) -> Wording:
    counted = Counter(codes).most_common()
    if len(counted) == 1:
        return _channel(counted[0][0])
    zh = "、".join(f"{label(code, 'zh')} {count} 件" for code, count in counted)
    return both(zh, ", ".join(f"{label(code)} ({count})" for code, count in counted))


def _reported_as(reported: str) -> Wording:
    return both(f"来源分类：{reported}", f"as reported: {reported}") if reported else ""


def _place_words(place: Place | None) -> tuple[Wording, Wording]:
    if place is None:
        return _NOT_RECORDED, ""
    east, north = "E" if place.lon >= 0 else "W", "N" if place.lat >= 0 else "S"
    method = _METHODS.get(place.method, both(place.method, place.method))
    zh, en = method["zh"], method["en"]
    if place.score is not None:
        zh, en = f"{zh}，匹配度 {place.score:.0f}/100", f"{en}, score {place.score:.0f} of 100"
    if place.needs_confirming:
        zh, en = f"{zh}，待核实", f"{en}, to be confirmed"
    if place.original_crs != "wgs84":
        zh, en = (
            f"{zh}，由 {place.original_crs.upper()} 换算",
            f"{en}, converted from {place.original_crs.upper()}",
        )
    return f"{abs(place.lon):.5f}° {east}, {abs(place.lat):.5f}° {north} (WGS-84)", both(zh, en)


def _line(text: Wording, language: str) -> str:
    return " ".join(filter(None, wordings(text, language)))


def _excerpt(text: str, columns: int = 120) -> str:
    return fonts.cut(" ".join(text.split()), columns)


def _is_chinese(text: str) -> bool:
    return any("\u4e00" <= character <= "\u9fff" for character in text)
