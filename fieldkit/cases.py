"""A case is one matter: the fold of its events. State is a pure function of the set of events, in any order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from fieldkit import events
from fieldkit.complaints import Complaint
from fieldkit.errors import UnknownCase
from fieldkit.events import Event
from fieldkit.evidence import Evidence, evidence_of
from fieldkit.places import METHODS, Place
from fieldkit.vocabulary import label


@dataclass(frozen=True, slots=True)
class CaseComplaint:
    """A complaint as part of a case: how it relates to the matter, and the cause where it is a recurrence."""

    id: str
    complaint: Complaint
    case: str
    relation: str = ""
    cause: str = ""

    @property
    def number(self) -> str:
        """The number that the office gave the complaint, or its id."""
        return self.complaint.number or self.id


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of a case's timeline, in Chinese and English; *kind* is the event's.

    *precision* says how exactly *at* is known (:data:`~fieldkit.complaints.PRECISIONS`).
    """

    at: datetime
    kind: str
    zh: str
    en: str
    precision: str = "second"


def fold_complaint(history: Iterable[Event]) -> CaseComplaint | None:
    """Fold the events of one complaint, given in any order, into its present state; None without a receipt.

    Of two receipts of one complaint (two devices imported the same file) the first in :attr:`Event.order` counts;
    of several links or confirmed places the last.
    """
    state: CaseComplaint | None = None
    later: list[Event] = []
    for event in sorted(history, key=lambda event: event.order):
        if event.kind != events.COMPLAINT_RECEIVED:
            later.append(event)
        elif state is None:
            state = CaseComplaint(event.subject, events.complaint_of(event.data), event.subject)
    if state is None:
        return None
    for event in later:
        state = _apply(state, event)
    return state


def complaint_versions(history: Sequence[Event]) -> list[tuple[int, CaseComplaint]]:
    """Every state that a complaint has been in, oldest first, each with the time of recording since when it was known.

    At any moment the state is the fold of the events recorded until then: with clocks that jump, too.
    """
    versions: list[tuple[int, CaseComplaint]] = []
    for moment, state in _states(history):
        if state is not None and (not versions or versions[-1][1] != state):
            versions.append((moment, state))
    return versions


def _states(history: Sequence[Event]) -> Iterator[tuple[int, CaseComplaint | None]]:
    ordered = sorted(history, key=lambda event: event.order)
    moments = [event.recorded_at for event in ordered]
    receipt_first = bool(ordered) and ordered[0].kind == events.COMPLAINT_RECEIVED
    if not receipt_first or any(before > after for before, after in pairwise(moments)):
        # A clock jumped, or something was said before the receipt was known: each moment is folded by itself.
        for moment in sorted(set(moments)):
            yield moment, fold_complaint([event for event in ordered if event.recorded_at <= moment])
        return
    state = fold_complaint(ordered[:1])
    for n, event in enumerate(ordered):
        if n and event.kind != events.COMPLAINT_RECEIVED and state is not None:
            state = _apply(state, event)
        if n + 1 == len(ordered) or moments[n + 1] > event.recorded_at:
            yield event.recorded_at, state


def _apply(state: CaseComplaint, event: Event) -> CaseComplaint:
    relation, complaint = changes_of(event)
    if complaint:
        return replace(state, complaint=replace(state.complaint, **complaint), **relation)
    return replace(state, **relation) if relation else state


def changes_of(event: Event) -> tuple[dict[str, Any], dict[str, Any]]:
    """What *event* changes of a complaint already received: fields of :class:`CaseComplaint`, and of its complaint."""
    match event.kind:
        case events.COMPLAINT_LINKED:
            data = event.data
            cause = data.get("cause", "")
            return {"case": data["case"], "relation": data["relation"], "cause": cause}, {}
        case events.COMPLAINT_UNLINKED:
            return {"case": event.subject, "relation": "", "cause": ""}, {}
        case events.PLACE_CONFIRMED:
            data = event.data
            known = {name: data[name] for name in ("district", "community", "address") if data.get(name)}
            return {}, {"place": events.place_of(data["place"]), **known}
    return {}, {}


@dataclass(frozen=True, slots=True)
class Case:
    """One matter: the complaints that belong to it, oldest first, and what has happened."""

    id: str
    complaints: tuple[CaseComplaint, ...]
    history: tuple[Event, ...]
    founding: CaseComplaint

    @classmethod
    def fold(cls, case_id: str, history: Sequence[Event]) -> Case:
        """Fold *history*, in any order: the events of the complaint that opened the case and of all that belong to it.

        Raises :class:`~fieldkit.errors.UnknownCase` when no complaint opened it.
        """
        by_subject: dict[str, list[Event]] = {}
        for event in history:
            by_subject.setdefault(event.subject, []).append(event)
        states = [state for own in by_subject.values() if (state := fold_complaint(own)) is not None]
        mine = [state for state in states if state.case == case_id]
        mine.sort(key=lambda state: (state.complaint.received_at, state.id))
        founding = next((state for state in states if state.id == case_id), None)
        if founding is None:
            raise UnknownCase(f"There is no case {case_id!r}: no complaint opened it.")
        return cls(case_id, tuple(mine), tuple(sorted(history, key=lambda event: event.order)), founding)

    def __repr__(self) -> str:
        # What people wrote and the whole history would fill the screen; the number says which case it is.
        about = ", ".join(filter(None, (self.category, self.community or self.district)))
        number = len(self.complaints)
        counted = f"{number} complaint{'s' * (number != 1)}"
        return f"<Case {self.number!r} ({self.id}): {counted}, {self.state}{', ' + about if about else ''}>"

    @property
    def state(self) -> str:
        """``REGISTERED``, ``CLOSED`` (the source reported every complaint closed) or ``MERGED`` into another case."""
        return case_state(
            len(self.complaints), sum(c.complaint.closed_at is not None for c in self.complaints)
        )

    @property
    def first(self) -> Complaint:
        """The complaint that opened the case."""
        return self.founding.complaint

    @property
    def number(self) -> str:
        """The number of the complaint that opened the case, or the case's id."""
        return self.founding.number

    @property
    def merged_into(self) -> str | None:
        """The id of the case that this one was merged into, or None."""
        return self.founding.case if self.founding.case != self.id else None

    @property
    def place(self) -> Place | None:
        """The surest place that a complaint of the case has (``places.METHODS``), of equals the first complaint's."""
        places = [c.complaint.place for c in self.complaints] or [self.first.place]
        known = [place for place in places if place is not None]
        return min(known, key=lambda place: METHODS.index(place.method), default=None)

    @property
    def category(self) -> str | None:
        """The main category of the first complaint, or None."""
        return self.first.category

    @property
    def address(self) -> str:
        """The address that the first complaint gives."""
        return self.first.address

    @property
    def district(self) -> str:
        """The district of the first complaint."""
        return self.first.district

    @property
    def community(self) -> str:
        """The community of the first complaint."""
        return self.first.community

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The pieces of evidence, each once, in the order they were added, those made from others among them."""
        found: dict[str, Evidence] = {}
        for event in self.history:
            if event.kind in (events.EVIDENCE_ADDED, events.EVIDENCE_DERIVED):
                found.setdefault(event.data["sha256"], evidence_of(event.data))
        return tuple(found.values())

    @property
    def timeline(self) -> tuple[Moment, ...]:
        """What happened, oldest first: complaints by receipt, everything else by when it occurred."""
        numbers = {c.id: c.number for c in (self.founding, *self.complaints)}
        moments = [m for event in self.history if (m := _moment(event, self.id, numbers)) is not None]
        return tuple(sorted(moments, key=lambda moment: moment.at))


def case_state(complaints: int, closed: int) -> str:
    """The state of a case with *complaints* complaints, *closed* of which the source reported closed."""
    if complaints == 0:
        return "MERGED"
    return "CLOSED" if closed == complaints else "REGISTERED"


_RELATION_WORDS = {
    "duplicate": ("重复件", "a duplicate"),
    "follow_up": ("补充反映", "a follow-up"),
    "recurrence": ("再次投诉", "a recurrence"),
}
_CAUSE_WORDS = {
    "late": ("办理逾期", "handled late"),
    "incomplete_rectification": ("整改不到位", "incomplete rectification"),
    "new_event": ("新的污染行为", "a new event"),
    "dissatisfied": ("对结果不满意", "dissatisfied with the result"),
}


def relation_label(relation: str, cause: str = "", language: str = "en") -> str:
    """A relation and its cause in words, e.g. ``a recurrence (handled late)``."""
    index = 0 if language == "zh" else 1
    words = _RELATION_WORDS.get(relation, (relation, relation))[index]
    why = _CAUSE_WORDS.get(cause, ("", ""))[index]
    if not why:
        return words
    return f"{words}（{why}）" if language == "zh" else f"{words} ({why})"


def _moment(event: Event, case_id: str, numbers: Mapping[str, str]) -> Moment | None:
    data: Mapping[str, Any] = event.data
    number = numbers.get(event.subject, event.subject)
    match event.kind:
        case events.COMPLAINT_RECEIVED:
            channel = data.get("channel", "unknown")
            zh, en = label(channel, "zh"), label(channel)
            at, known = datetime.fromisoformat(data["received_at"]), data.get("precision", "second")
            text = (f"收到投诉 {number}（{zh}）", f"Complaint {number} received ({en})")
            return Moment(at, event.kind, *text, precision=known)
        case events.COMPLAINT_LINKED:
            zh = relation_label(data["relation"], data.get("cause", ""), "zh")
            en = relation_label(data["relation"], data.get("cause", ""))
            other = data["case"] != case_id
            text = (
                f"{number} 并入{'案件 ' + data['case'] if other else '本案'}：{zh}",
                f"{number} linked to {'case ' + data['case'] if other else 'the case'} as {en}",
            )
        case events.COMPLAINT_UNLINKED:
            text = (f"{number} 取消关联", f"{number} unlinked")
        case events.PLACE_CONFIRMED:
            text = (f"{number} 的位置已核实", f"Place of {number} confirmed")
        case events.COMPLAINANT_OPENED:
            text = (
                f"{event.actor} 查看了 {number} 的投诉人信息：{data['reason']}",
                f"{event.actor} looked at who sent {number}: {data['reason']}",
            )
        case events.RECORD_WRITTEN:
            formats = ", ".join(sorted(data.get("files", {})))
            of = ("", "") if event.subject == case_id else (f" {number} 的", f" of {number}")
            text = (f"生成{of[0]}调查记录（{formats}）", f"Record{of[1]} written ({formats})")
        case events.EVIDENCE_ADDED | events.EVIDENCE_DERIVED:
            text = _evidence_words(data)
        case _:
            return None
    return Moment(events.moment_of(event.occurred_at), event.kind, *text)


_DERIVED_WORDS = {"stamped": ("盖印副本", "stamped copy"), "redacted": ("遮盖副本", "redacted copy")}


def _evidence_words(data: Mapping[str, Any]) -> tuple[str, str]:
    name, short = str(data.get("name", "")), str(data["sha256"])[:12]
    if data.get("derivation"):
        zh, en = _DERIVED_WORDS.get(data["derivation"], (data["derivation"], data["derivation"]))
        original = str(data.get("original", ""))[:12]
        return f"由证据 {original} 制作{zh}（{short}）", f"A {en} of evidence {original} was made ({short})"
    by = (f"，发现人 {data['finder']}", f", found by {data['finder']}") if data.get("finder") else ("", "")
    return f"证据入卷：{name}（{short}）{by[0]}", f"Evidence {name} added ({short}){by[1]}"
