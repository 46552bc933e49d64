"""The complaint: frozen, plain, with checked words and zone-aware times; the person stays apart."""

from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hostile_texts import HOSTILE

from fieldkit.complaints import PRECISIONS, Complaint, Entry, Flag, Person, time_text
from fieldkit.errors import FieldkitError
from fieldkit.places import Place

NIGHT = datetime(2017, 7, 3, 23, 40, tzinfo=timezone(timedelta(hours=8)))


def test_a_complaint_needs_only_when_and_whose_numbering() -> None:
    complaint = Complaint(NIGHT, "12345")
    assert (complaint.channel, complaint.precision) == ("unknown", "second")
    assert complaint.categories == ()
    assert complaint.category is None
    assert complaint.place is None
    assert complaint.details == {}


def test_the_main_category_is_that_of_the_first() -> None:
    complaint = Complaint(NIGHT, "12345", categories=("waste.hazardous", "air.odour"))
    assert complaint.category == "solid_waste"


@pytest.mark.parametrize(
    ("precision", "shown"),
    [
        ("second", "2017-07-03 23:40"),
        ("hour", "2017-07-03 23:00"),
        ("day", "2017-07-03"),
        ("month", "2017-07"),
        ("year", "2017"),
    ],
)
def test_a_time_is_shown_as_exactly_as_it_is_known(precision: str, shown: str) -> None:
    assert time_text(NIGHT, precision) == shown


@pytest.mark.parametrize("name", ["received_at", "occurred_at", "closed_at"])
def test_a_time_without_a_zone_is_refused_by_name(name: str) -> None:
    values = {"received_at": NIGHT, "source": "12345", name: NIGHT.replace(tzinfo=None)}
    with pytest.raises(FieldkitError, match=f"{name} 2017-07-03 23:40:00 has no time zone"):
        Complaint(**values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("channel", "fax", "channel 'fax' is not known. Use one of: superior"),
        ("channel", "", "channel ''"),
        ("categories", ("noise", "smell"), "category 'smell'"),
        ("precision", "minute", "precision 'minute' is not one of: second, hour, day, month, year"),
    ],
)
def test_an_unknown_word_is_refused_with_what_is_accepted(field: str, value: object, says: str) -> None:
    with pytest.raises(FieldkitError, match=says):
        Complaint(NIGHT, "12345", **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_precision_is_accepted(precision: str) -> None:
    assert Complaint(NIGHT, "12345", precision=precision).precision == precision


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_kept_as_people_wrote_it(text: str) -> None:
    complaint = Complaint(
        NIGHT, text, number=text, text=text, address=text, reported_type=text, details={text: text}
    )
    back = pickle.loads(pickle.dumps(complaint))  # noqa: S301 - our own bytes
    assert back == complaint
    assert (back.text, back.address, back.details) == (text, text, {text: text})


def test_a_complaint_cannot_be_changed() -> None:
    complaint = Complaint(NIGHT, "12345")
    with pytest.raises(dataclasses.FrozenInstanceError):
        complaint.text = "other"  # type: ignore[misc]


def test_a_complaint_has_no_field_for_who_complained() -> None:
    names = {field.name for field in dataclasses.fields(Complaint)}
    assert not names & {field.name for field in dataclasses.fields(Person)} - {"address"}
    assert not names & {"person", "complainant", "name", "phone", "email"}


def test_a_person_does_not_show_in_a_log() -> None:
    person = Person(
        name="王小明", phone="13800000000", address="利州区", email="a@b.cn", identity_number="510802"
    )
    entry = Entry(2, Complaint(NIGHT, "12345"), person, (), {})
    for shown in (repr(person), str(person), f"{person}", repr([person]), repr(entry)):
        assert "Person(…)" in shown
        assert "王小明" not in shown
        assert "13800000000" not in shown


def test_a_person_of_whom_nothing_is_known_is_nobody() -> None:
    assert not Person()
    assert Person(phone="13800000000")


def test_an_entry_is_a_row_with_its_doubts() -> None:
    flag = Flag("bad_time", "received_at", "yesterday", 3, "'yesterday' is not a time.")
    refused = Entry(3, None, None, (flag,), {"when": "yesterday"})
    assert refused.flags[0].code == "bad_time"
    kept = Entry(4, Complaint(datetime.now(UTC), "12345", place=Place(105.8, 32.4)), None, (), {})
    assert kept.complaint is not None
    assert kept.complaint.place is not None
