"""Events: what is written down comes back the same, in one canonical form, and the chain covers all of it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fieldkit import events
from fieldkit.complaints import Complaint
from fieldkit.errors import LedgerError
from fieldkit.places import Place
from fieldkit.testing import sample_complaints

any_text = st.text(st.characters(codec=None), max_size=15)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(any_text, inner, max_size=4),
    max_leaves=12,
)


@given(plain)
def test_canonical_is_stable_and_every_database_keeps_it(value: object) -> None:
    text = events.canonical(value)
    assert events.canonical(json.loads(text)) == text
    assert text.encode("utf-8").decode() == text
    assert "\x00" not in text


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=6))
def test_canonical_does_not_depend_on_order(value: dict[str, int]) -> None:
    assert events.canonical(dict(reversed(value.items()))) == events.canonical(value)


def test_canonical_is_what_it_was_when_the_first_ledger_was_written() -> None:
    value = {"b": [1, 1.5, True, None], "a": '噪声 "x" \\ /\u2028\x7f\n', "é": {}}
    assert events.canonical(value) == '{"a":"噪声 \\"x\\" \\\\ /\u2028\x7f\\n","b":[1,1.5,true,null],"é":{}}'


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a\x00b", "a\ufffdb"),
        ("\ud800", "\ufffd"),
        ("x\udc00y\x00", "x\ufffdy\ufffd"),
        ("\ud83d\ude00", "😀"),
        ("\\u0000", "\\u0000"),
        ("\u202eשלום 👩‍👧", "\u202eשלום 👩‍👧"),
    ],
)
def test_what_no_database_keeps_is_replaced(text: str, kept: str) -> None:
    assert events.kept(text) == kept
    assert json.loads(events.canonical({text: [text]})) == {kept: [kept]}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"x": object()}, {1: 2, "a": 3}])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(LedgerError, match="cannot be written down as JSON"):
        events.canonical({"a\x00": value} if not isinstance(value, dict) else value)


@given(any_text)
def test_kept_is_kept(text: str) -> None:
    once = events.kept(text)
    assert events.kept(once) == once
    once.encode("utf-8")


zones = st.timedeltas(timedelta(hours=-14), timedelta(hours=14)).map(
    lambda offset: timezone(timedelta(seconds=int(offset.total_seconds())))
)
moments = st.datetimes(datetime(1800, 1, 1), datetime(2200, 1, 1), timezones=zones)


@given(moments)
def test_microseconds_are_exact(moment: datetime) -> None:
    assert events.moment_of(events.microseconds(moment)) == moment


@given(
    complaint=st.builds(
        Complaint,
        received_at=moments,
        source=st.text(max_size=5),
        number=st.text(max_size=5),
        channel=st.sampled_from(["wechat", "visit", "unknown"]),
        occurred_at=st.none() | moments,
        closed_at=st.none() | moments,
        precision=st.sampled_from(["second", "day"]),
        text=st.text(max_size=10),
        translation=st.text(max_size=5),
        categories=st.sampled_from([(), ("noise",), ("noise.construction", "air.dust")]),
        district=st.text(max_size=5),
        details=st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
        place=st.none()
        | st.builds(
            Place,
            lon=st.floats(-180, 180),
            lat=st.floats(-90, 90),
            method=st.sampled_from(["given", "gazetteer"]),
            score=st.none() | st.floats(0, 100),
            needs_confirming=st.booleans(),
            original=st.none() | st.tuples(st.floats(-180, 180), st.floats(-90, 90)),
        ),
    )
)
def test_a_complaint_comes_back_from_its_payload(complaint: Complaint) -> None:
    payload = json.loads(events.canonical(events.complaint_payload(complaint)))
    back = events.complaint_of(payload)
    texts = {
        name: events.kept(getattr(complaint, name))
        for name in ("source", "number", "text", "translation", "district")
    }
    details = {events.kept(key): events.kept(value) for key, value in complaint.details.items()}
    assert replace(back, details={}) == replace(complaint, **texts, details={})
    assert set(back.details) == set(details)
    assert events.complaint_payload(back) == payload


def test_the_payload_of_a_complaint_leaves_out_what_is_empty() -> None:
    moment = datetime(2017, 7, 1, tzinfo=UTC)
    payload = events.complaint_payload(Complaint(received_at=moment, source="office"))
    assert payload == {"received_at": "2017-07-01T00:00:00+00:00", "source": "office", "channel": "unknown"}


def test_who_complained_is_not_in_a_payload() -> None:
    told = events.canonical([events.complaint_payload(complaint) for complaint, _ in sample_complaints()])
    for _, person in sample_complaints():
        assert person.name not in told
        assert person.phone not in told


said = ("device", 7, "ABCDEFGHIJKL", "complaint_linked", "张三\n", 1, 2, 2, '{"a":1}', bytes(32))


@pytest.mark.parametrize("field", range(len(said)))
def test_the_digest_covers_every_field(field: int) -> None:
    value = said[field]
    other = {str: lambda: value + "1", int: lambda: value + 1, bytes: lambda: b"\x01" + bytes(31)}[
        type(value)
    ]()
    assert events.digest_of(*said) != events.digest_of(*said[:field], other, *said[field + 1 :])  # type: ignore[arg-type]


def test_the_digest_is_what_it_was_when_the_first_ledger_was_written() -> None:
    head = 'device\n7\nABCDEFGHIJKL\ncomplaint_linked\n"\\u5f20\\u4e09\\n"\n1\n2\n' + "0" * 64 + '\n{"a":1}'
    assert events.digest_of(*said) == hashlib.sha256(head.encode()).digest()


@given(any_text)
def test_an_identifier_is_base_32_of_sixty_bits(key: str) -> None:
    digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
    assert events.identifier(key) == base64.b32encode(digest)[:12].decode()


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(
        LedgerError, match=r"The kind of event 'rumour' is not known\. Known are: complaint_received"
    ):
        events.Fact("X", "rumour", {}, datetime.now(UTC))


def test_a_time_without_a_zone_is_refused() -> None:
    with pytest.raises(LedgerError, match="has no time zone"):
        events.Fact("X", events.COMPLAINT_UNLINKED, {}, datetime(2017, 7, 1))
