"""Cases: the fold of events, whatever order they come in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldkit import events
from fieldkit.cases import (
    Case,
    CaseComplaint,
    case_state,
    complaint_versions,
    fold_complaint,
    relation_label,
)
from fieldkit.complaints import Complaint
from fieldkit.errors import UnknownCase
from fieldkit.events import Event
from fieldkit.places import Place

NOON = datetime(2017, 7, 1, 12, tzinfo=UTC)


def event(subject: str, kind: str, payload: Mapping[str, Any], at: int, origin: str = "device") -> Event:
    occurred = events.microseconds(NOON + timedelta(hours=at))
    text = events.canonical(payload)
    return Event(
        origin, at + 1, subject, kind, "officer", occurred, occurred, occurred, text, bytes(32), bytes(32)
    )


def received(subject: str, at: int, **known: Any) -> Event:
    complaint = Complaint(
        received_at=NOON + timedelta(hours=at), source="office", number=f"N-{subject}", **known
    )
    return event(subject, events.COMPLAINT_RECEIVED, events.complaint_payload(complaint), at)


def linked(subject: str, case: str, at: int, relation: str = "duplicate", cause: str = "") -> Event:
    payload = {"case": case, "relation": relation} | ({"cause": cause} if cause else {})
    return event(subject, events.COMPLAINT_LINKED, payload, at)


HISTORY = (
    received("A", 0, categories=("noise.construction",), closed_at=NOON + timedelta(days=9)),
    received("B", 1, place=Place(105.8, 32.4)),
    received("C", 2, closed_at=NOON + timedelta(days=9)),
    linked("B", "A", 3, "recurrence", "late"),
    linked("C", "B", 4),
    linked("C", "A", 5, "follow_up"),
    event("B", events.PLACE_CONFIRMED, {"place": {"lon": 105.9, "lat": 32.5}, "district": "Lizhou"}, 6),
    event("C", events.COMPLAINT_UNLINKED, {}, 7),
    linked("C", "A", 8),
    event("A", events.RECORD_WRITTEN, {"files": {"pdf": "x", "html": "y"}}, 9),
    event("C", events.RECORD_WRITTEN, {"files": {"pdf": "x"}}, 10),
)


@given(st.permutations(HISTORY))
def test_the_order_of_events_does_not_matter(history: list[Event]) -> None:
    assert Case.fold("A", history) == Case.fold("A", HISTORY)
    assert Case.fold("A", history).timeline == Case.fold("A", HISTORY).timeline


def test_a_case_is_what_its_events_say() -> None:
    case = Case.fold("A", HISTORY)
    assert [(c.id, c.relation, c.cause) for c in case.complaints] == [
        ("A", "", ""),
        ("B", "recurrence", "late"),
        ("C", "duplicate", ""),
    ]
    assert (case.number, case.category, case.state, case.merged_into) == ("N-A", "noise", "REGISTERED", None)
    # The first complaint has no place, so the case has that of the next, as it was confirmed.
    assert case.place == Place(105.9, 32.5)
    assert case.complaints[1].complaint.district == "Lizhou"


def test_the_timeline_says_how_exactly_a_time_is_known() -> None:
    case = Case.fold("A", [received("A", 0, precision="month")])
    assert [moment.precision for moment in case.timeline] == ["month"]


def test_the_timeline_says_where_a_complaint_went() -> None:
    lines = [moment.en for moment in Case.fold("A", HISTORY).timeline]
    assert lines == [
        "Complaint N-A received (channel not recorded)",
        "Complaint N-B received (channel not recorded)",
        "Complaint N-C received (channel not recorded)",
        "N-B linked to the case as a recurrence (handled late)",
        "N-C linked to case B as a duplicate",
        "N-C linked to the case as a follow-up",
        "Place of N-B confirmed",
        "N-C unlinked",
        "N-C linked to the case as a duplicate",
        "Record written (html, pdf)",
        "Record of N-C written (pdf)",
    ]
    assert all(moment.zh for moment in Case.fold("A", HISTORY).timeline)


def test_a_merged_case_says_where_it_is() -> None:
    case = Case.fold("B", [one for one in HISTORY if one.subject == "B"])
    assert (case.state, case.merged_into, case.complaints) == ("MERGED", "A", ())
    assert case.first.number == "N-B"
    assert "N-B linked to case A as a recurrence (handled late)" in [m.en for m in case.timeline]
    assert "N-B 并入案件 A：再次投诉（办理逾期）" in [m.zh for m in case.timeline]


def test_the_first_of_two_receipts_counts() -> None:
    twice = [received("A", 1, text="later"), received("A", 0, text="first")]
    state = fold_complaint(twice)
    assert state is not None
    assert state.complaint.text == "first"


_SAID = st.sampled_from(
    [
        (events.COMPLAINT_RECEIVED, {"received_at": "2017-07-01T12:00:00+00:00", "source": "s"}),
        (events.COMPLAINT_LINKED, {"case": "B", "relation": "duplicate"}),
        (events.COMPLAINT_LINKED, {"case": "C", "relation": "follow_up"}),
        (events.COMPLAINT_UNLINKED, {}),
        (events.PLACE_CONFIRMED, {"place": {"lon": 1.0, "lat": 2.0, "method": "confirmed"}, "district": "d"}),
        (events.COMPLAINANT_OPENED, {"reason": "r"}),
    ]
)


@given(st.lists(st.tuples(_SAID, st.integers(0, 4), st.integers(0, 4)), max_size=7))
def test_every_state_is_the_fold_of_what_was_known_by_then(
    said: list[tuple[tuple[str, dict[str, Any]], int, int]],
) -> None:
    """Whatever the clocks did: recorded early and ordered late, or the other way round."""
    history = [
        replace(event("A", kind, payload, 0), sequence=n, recorded_at=recorded, tick=tick)
        for n, ((kind, payload), recorded, tick) in enumerate(said)
    ]
    expected: list[tuple[int, CaseComplaint]] = []
    for moment in sorted({one.recorded_at for one in history}):
        state = fold_complaint([one for one in history if one.recorded_at <= moment])
        if state is not None and (not expected or expected[-1][1] != state):
            expected.append((moment, state))
    assert complaint_versions(history) == expected


def test_without_a_receipt_there_is_no_complaint_and_no_case() -> None:
    assert fold_complaint([linked("A", "B", 0)]) is None
    assert fold_complaint([]) is None
    with pytest.raises(UnknownCase, match="There is no case 'B'"):
        Case.fold("B", [received("A", 0), linked("A", "B", 1)])


def test_two_cases_linked_to_each_other_are_still_two_cases() -> None:
    history = [received("A", 0), received("B", 1), linked("A", "B", 2), linked("B", "A", 3)]
    assert [c.id for c in Case.fold("A", history).complaints] == ["B"]
    assert [c.id for c in Case.fold("B", history).complaints] == ["A"]


@pytest.mark.parametrize(
    ("complaints", "closed", "state"),
    [(0, 0, "MERGED"), (1, 0, "REGISTERED"), (1, 1, "CLOSED"), (3, 2, "REGISTERED"), (3, 3, "CLOSED")],
)
def test_states(complaints: int, closed: int, state: str) -> None:
    assert case_state(complaints, closed) == state


def test_relations_in_words() -> None:
    assert relation_label("recurrence", "dissatisfied") == "a recurrence (dissatisfied with the result)"
    assert relation_label("recurrence", "late", "zh") == "再次投诉（办理逾期）"
    assert relation_label("unheard_of") == "unheard_of"
