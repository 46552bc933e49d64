"""An investigation shows what the ledger holds of one case, says what is missing, and never who complained."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hostile_texts import HOSTILE

from fieldkit.casework import Link, confirm_place, link_complaints, open_complainant
from fieldkit.complaints import Complaint, Person
from fieldkit.errors import RecordError, UnknownCase
from fieldkit.ledger import Receipt
from fieldkit.places import Place
from fieldkit.records import Investigation, investigation, parts
from fieldkit.records.parts import MIME, Part, both
from fieldkit.workspace import Workspace

ZONE = ZoneInfo("Asia/Shanghai")


def receive(ws: Workspace, *complaints: Complaint) -> None:
    with ws.ledger.receiving() as receiving:
        receiving.add([Receipt(c, c, Person(name="王小明", phone="13812345678")) for c in complaints])


def complaint(number: str, **known: object) -> Complaint:
    received = known.pop("received_at", datetime(2018, 3, 5, 9, 30, tzinfo=ZONE))
    return Complaint(received_at=received, source="test", number=number, **known)  # type: ignore[arg-type]


def every_part(found: Investigation) -> list[Part]:
    return [found.facts(), found.what_was_reported(), found.timeline(), found.missing()]


def words(part: Part) -> str:
    return part.as_text() + part.as_html() + str(part.as_json())


def test_the_facts_of_a_case(sample: Workspace) -> None:
    text = investigation(sample, "S-001").facts().as_text()
    assert "S-001" in text
    assert "变压器 · transformer" in text
    assert "2017-07-01 22:00" in text
    assert "105.84360° E, 32.43550° N" in text
    assert "coordinates came with the complaint" in text


def test_without_a_case_the_weightiest_is_opened(sample: Workspace) -> None:
    assert investigation(sample).case.number == "S-001"


def test_no_complainant_is_in_any_part(sample: Workspace) -> None:
    for number in ("S-001", "S-008"):
        for part in every_part(investigation(sample, number)):
            assert "Resident" not in words(part)
            assert "1390000" not in words(part)


def test_the_timeline_names_each_complaints_relation(sample: Workspace) -> None:
    timeline = investigation(sample, "S-001").timeline().as_json()
    relations = {row[2]["zh"].split()[0]: row[3]["en"] for row in timeline["rows"]}
    assert relations["S-001"] == "first complaint"
    assert relations["S-007"] == "a recurrence (incomplete rectification)"
    assert relations["S-013"] == "another case, same place"
    own = {timeline["rows"][index][2]["zh"].split()[0] for index in timeline["marked"]}
    assert own == {"S-001", "S-004", "S-007", "S-010"}
    times = [row[1] for row in timeline["rows"]]
    assert times == sorted(times)


def test_neighbours_are_earlier_near_and_of_the_same_category(sample: Workspace) -> None:
    found = investigation(sample, "S-001", radius_m=150)
    near = found.neighbours
    assert len(near)
    assert (near["distance_m"] <= 150).all()
    assert set(near["category"]) == {"noise"}
    assert near["received_at"].max() < found.case.complaints[-1].complaint.received_at
    assert found.case.id not in set(near["case"])


def test_more_neighbours_than_can_be_listed_are_counted(sample: Workspace) -> None:
    start = datetime(2018, 1, 1, 22, tzinfo=ZONE)
    place = Place(106.2, 32.2)
    receive(
        sample,
        *(
            complaint(f"N-{n}", received_at=start + timedelta(days=n), categories=("noise",), place=place)
            for n in range(45)
        ),
    )
    timeline = investigation(sample, "N-44").timeline().as_json()
    assert len(timeline["rows"]) == 31
    assert "44 earlier complaints" in timeline["note"]["en"]
    assert "the latest 30 are listed" in timeline["note"]["en"]


def test_a_case_without_a_place_says_so(sample: Workspace) -> None:
    found = investigation(sample, "S-008")
    assert found.neighbours.empty
    assert found.still_map().kind == "paragraphs"
    assert "No place" in found.missing().as_text()
    assert found.rhythm().kind in ("picture", "paragraphs")


def test_what_is_missing_shrinks_when_it_is_known(sample: Workspace) -> None:
    receive(sample, complaint("M-1", place=Place(105.8, 32.4, "gazetteer", 78.0, needs_confirming=True)))
    before = investigation(sample, "M-1").missing().as_text()
    assert "found by name and is not confirmed" in before
    for gap in ("No category", "No suspected source", "No address", "No words", "When it occurs"):
        assert gap in before
    confirm_place(sample, "M-1", 105.8, 32.4, address="Riverside Road 1")
    after = investigation(sample, "M-1").missing().as_text()
    assert "confirmed" not in after
    assert "No address" not in after
    assert "confirmed by an officer" in investigation(sample, "M-1").facts().as_text()


def test_times_are_shown_as_exactly_as_they_are_known(sample: Workspace) -> None:
    receive(sample, complaint("D-1", precision="day"), complaint("Y-1", precision="year"))
    assert "First received: 2018-03-05\n" in investigation(sample, "D-1").facts().as_text()
    assert "First received: 2018\n" in investigation(sample, "Y-1").facts().as_text()
    assert "The hour of receipt is not known" in investigation(sample, "D-1").missing().as_text()


def test_a_text_that_comes_again_is_counted_not_repeated(sample: Workspace) -> None:
    receive(sample, complaint("R-1", text="臭味刺鼻"), complaint("R-2", text="臭味刺鼻"))
    link_complaints(sample, [Link("R-2", "R-1", "duplicate")])
    reported = investigation(sample, "R-1").what_was_reported()
    assert len(reported.as_json()["items"]) == 1
    assert "1 more say the same" in reported.as_text()


@pytest.mark.parametrize(("language", "shown"), [("zh", False), ("en", True), ("both", True)])
def test_the_original_is_always_shown_and_the_translation_where_it_is_needed(
    sample: Workspace, language: str, shown: bool
) -> None:
    text = investigation(sample, "S-001", language=language).what_was_reported().as_text()
    assert "第1号投诉" in text
    assert ("Complaint 1: noise" in text) is shown


def test_pictures_are_pngs(sample: Workspace) -> None:
    found = investigation(sample, "S-001")
    for part in (found.still_map(), found.rhythm()):
        assert part.kind == "picture"
        assert base64.b64decode(part.as_json()["png"]).startswith(b"\x89PNG")
    assert "night" in str(found.rhythm().as_json()["caption"])


@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_people_wrote_is_text(sample: Workspace, text: str) -> None:
    receive(
        sample,
        complaint("H-1", text=text, address=text, suspected_source=text, reported_type=text, community=text,
                  place=Place(105.8, 32.4)),
    )  # fmt: skip
    found = investigation(sample, "H-1")
    for part in every_part(found):
        shown = part.as_html()
        assert "<img src=x" not in shown
        assert "</script>" not in shown
    assert found.what_was_reported().as_json()["items"][0]["text"] == text
    assert found.still_map().kind == "picture"


def test_a_part_carries_itself_as_html_and_as_data(sample: Workspace) -> None:
    bundle = investigation(sample, "S-001").facts()._repr_mimebundle_()
    assert set(bundle) == {MIME, "text/html", "text/plain"}
    assert bundle[MIME]["kind"] == "facts"
    assert bundle[MIME]["title"] == {"zh": "案件概况", "en": "The case"}


def test_the_fingerprint_follows_the_data_and_nothing_else(sample: Workspace) -> None:
    first = investigation(sample, "S-001").fingerprint()
    receive(sample, complaint("F-1", place=Place(105.9, 32.41)))
    assert investigation(sample, "S-001").fingerprint() == first, "a complaint far away changes nothing"
    early = datetime(2017, 1, 1, 12, tzinfo=ZONE)
    receive(
        sample,
        complaint("F-2", received_at=early, categories=("noise",), place=Place(105.8436, 32.4355)),
    )
    changed = investigation(sample, "S-001").fingerprint()
    assert changed != first, "an earlier complaint next door does"
    confirm_place(sample, "S-001", 105.8437, 32.4355)
    assert investigation(sample, "S-001").fingerprint() != changed


def test_a_call_that_cannot_be_answered_is_refused(sample: Workspace) -> None:
    with pytest.raises(UnknownCase):
        investigation(sample, "no such case")
    with pytest.raises(RecordError, match="metres"):
        investigation(sample, "S-001", radius_m=0)
    with pytest.raises(RecordError, match="radius_m is '200'"):
        investigation(sample, "S-001", radius_m="200")  # type: ignore[arg-type]
    with pytest.raises(RecordError, match="zh, en or both"):
        investigation(sample, "S-001", language="fr")


def test_wordings_follow_the_language() -> None:
    text = both("噪声", "noise")
    assert parts.wordings(text, "both") == ("噪声", "noise")
    assert parts.wordings(text, "zh") == ("噪声", "")
    assert parts.wordings(text, "en") == ("noise", "")
    assert parts.wordings({"zh": "", "en": "noise"}, "zh") == ("noise", "")
    assert parts.wordings("821", "both") == ("821", "")


def test_a_look_at_who_complained_is_not_in_the_record(sample: Workspace) -> None:
    """It is in the ledger and in the case's timeline; a record may leave the office."""
    before = investigation(sample, "S-001")
    fingerprint, shown = before.fingerprint(), before.timeline()
    open_complainant(sample, "S-001", reason="return visit")
    assert sample.case("S-001").timeline[-1].kind == "complainant_opened"
    after = investigation(sample, "S-001")
    assert after.fingerprint() == fingerprint
    assert after.timeline() == shown
