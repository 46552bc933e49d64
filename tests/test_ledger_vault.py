"""The vault: who complained is sealed, seen only by those who may, saying why, and can be forgotten."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import hostile_texts
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from ledger_deeds import NOON, ZONE, complaint, frame, receive, rows_of

from fieldkit import events, roles
from fieldkit.complaints import Person
from fieldkit.errors import KeyFileError, LedgerError, NotAllowed
from fieldkit.events import COMPLAINANT_OPENED, PERSON_FORGOTTEN, ROLE_GRANTED, Event
from fieldkit.keys import Keys
from fieldkit.ledger import Ledger, Receipt, store, tables
from fieldkit.ledger.frames import Filters

WANG = Person("王小明", "139 0000 1111", "Station Road 12", "Wang@Mail.example", "510802199001011234")
CANARY = Person("CANARY-name", "CANARY-4711-4711", "CANARY-address", "CANARY-email", "CANARY-identity")


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ledger]:
    if request.param == "postgres":
        make: Callable[[], str] = request.getfixturevalue("postgres_database")
        url = make()
    else:
        url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    opened = Ledger(url, origin="device", actor="李娜", keys=Keys(tmp_path / "keys"))
    yield opened
    opened.close()


@pytest.fixture
def file_ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger(
        f"sqlite:///{tmp_path / 'ledger.sqlite'}", origin="device", actor="李娜", keys=Keys(tmp_path / "keys")
    )
    yield opened
    opened.close()


def by(ledger: Ledger, actor: str, keys: Path | None = None) -> Ledger:
    """The same ledger with somebody else at it, on this device or on one with other keys."""
    return Ledger(ledger.url, origin="device", actor=actor, keys=ledger._keys if keys is None else Keys(keys))


def persons(ledger: Ledger) -> list[object]:
    return [row[1] for row in rows_of(ledger, tables.complainant)]


def id_of(ledger: Ledger, n: int) -> str:
    return ledger.find_case(f"N{n}")


# --- what is kept -----------------------------------------------------------------------------------------------


def test_who_complained_is_seen_as_it_was_said(ledger: Ledger) -> None:
    receive(ledger, complaint(1), person=WANG)
    receive(ledger, complaint(2))
    assert ledger.complainant(id_of(ledger, 1), reason="reply by telephone") == WANG
    assert ledger.complainant(id_of(ledger, 2), reason="reply by telephone") is None


def test_who_complained_is_in_no_byte(file_ledger: Ledger, tmp_path: Path) -> None:
    receive(file_ledger, complaint(1, text="x"), person=CANARY)
    told = [rows_of(file_ledger, table) for table in tables.metadata.sorted_tables]
    told += [
        frame(file_ledger).to_csv(),
        file_ledger.cases(Filters(), zone=ZONE).to_csv(),
        file_ledger.case("N1"),
        list(file_ledger.events()),
        Receipt(complaint(1), complaint(1), CANARY),
        file_ledger,
    ]
    assert "CANARY" not in repr(told)
    file_ledger.close()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(written) > 50_000
    for shape in (
        b"CANARY",
        "CANARY".encode("utf-16-le"),
        base64.b64encode(b"CANARY"),
        b"CANARY".hex().encode(),
    ):
        assert shape not in written


@pytest.mark.parametrize("name", [*hostile_texts.HOSTILE, "nul \x00 half \ud800"])
def test_any_name_is_kept(ledger: Ledger, name: str) -> None:
    receive(ledger, complaint(1), person=Person(name=name))
    assert ledger.complainant(id_of(ledger, 1), reason="x") == Person(name=events.kept(name))


def test_without_keys_nobody_can_be_kept_and_nothing_is(tmp_path: Path) -> None:
    ledger = Ledger(f"sqlite:///{tmp_path / 'x.sqlite'}", origin="device")
    with pytest.raises(
        LedgerError, match=r"Who complained cannot be kept: .* opened without keys .* Open it as a"
    ):
        receive(ledger, complaint(1), person=WANG)
    assert ledger.count()["events"] == 0
    ledger.close()


def test_a_device_without_the_vaults_key_can_seal_but_not_open(ledger: Ledger, tmp_path: Path) -> None:
    receive(ledger, complaint(1), person=WANG)
    laptop = by(ledger, "李娜", tmp_path / "laptop")
    receive(laptop, complaint(2), person=WANG)
    assert not (tmp_path / "laptop" / "vault.key").exists()
    with pytest.raises(KeyFileError, match=r"does not hold the office's vault\.key.* Ask on a device"):
        laptop.complainant(id_of(laptop, 2), reason="x")
    assert ledger.complainant(id_of(ledger, 2), reason="x") == WANG
    laptop.close()


def test_another_vaults_key_opens_nothing(ledger: Ledger, tmp_path: Path) -> None:
    receive(ledger, complaint(1), person=WANG)
    stranger = by(ledger, "李娜", tmp_path / "stranger")
    assert stranger._keys is not None
    stranger._keys.make_vault()
    before = stranger.count()["events"]
    with pytest.raises(KeyFileError, match="sealed to another key"):
        stranger.complainant(id_of(stranger, 1), reason="x")
    assert stranger.count()["events"] == before
    stranger.close()


def test_an_error_of_the_database_names_no_complainant(ledger: Ledger) -> None:
    receive(ledger, complaint(0), person=WANG)
    taken = events.identifier("office\n#N1")
    with store.writing(ledger._engine) as connection:
        store.insert(connection, tables.complainant, [(taken, "p", "k", b"x")])
    before = ledger.count()
    with pytest.raises(LedgerError) as caught:
        receive(ledger, complaint(1), person=Person(name="CANARY"))
    error: BaseException | None = caught.value
    while error is not None:
        assert "CANARY" not in f"{error} {error!r}"
        error = error.__cause__ or error.__context__
    assert ledger.count() == before


# --- one person -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Person(phone="13900001111"), Person(phone="+86 139-0000-1111"), True),
        (Person(phone="13900001111"), Person(phone="13900001112"), False),
        (Person(name="王", phone="13900001111"), Person(name="张", phone="13900001111"), True),
        (Person(identity_number="51080219900101123x"), Person(identity_number=" 51080219900101123X"), True),
        (Person(email="A@b.example"), Person(email="a@B.example "), True),
        (Person(name="王", address="Station Road 12"), Person(name="王", address="Station  Road 12"), True),
        (Person(name="王"), Person(name="王"), False),  # there are many
        (Person(phone="12345"), Person(phone="12345"), False),  # an extension, or the hotline itself
        (Person(phone="13900001111"), Person(email="13900001111"), False),
    ],
)
def test_who_complains_again_is_one_person(ledger: Ledger, one: Person, other: Person, same: bool) -> None:
    receive(ledger, complaint(1), person=one)
    receive(ledger, complaint(2), person=other)
    with ledger.receiving() as receiving:  # and within one import
        receiving.add([Receipt(complaint(n), complaint(n), who) for n, who in ((3, one), (4, other))])
    assert (len(set(persons(ledger))) == 1) == same
    assert ledger.complainant(id_of(ledger, 1), reason="x") == one
    assert ledger.complainant(id_of(ledger, 4), reason="x") == other


@given(st.binary(max_size=40), st.text(max_size=30))
def test_a_mark_says_nothing_without_the_key(index: bytes, text: str) -> None:
    from fieldkit.keys import VaultKey

    one, other = VaultKey(bytes(32), index), VaultKey(bytes(32), index + b"x")
    assert one.mark(text) == one.mark(text) != other.mark(text)


# --- who may ----------------------------------------------------------------------------------------------------


def test_whoever_keeps_the_first_complainant_is_the_keeper(ledger: Ledger) -> None:
    assert ledger.roles() == {}
    receive(ledger, complaint(1), person=WANG)
    assert ledger.roles() == {"李娜": {roles.KEEPER}}


def test_only_who_has_a_role_may_see_and_every_look_is_an_event(ledger: Ledger) -> None:
    receive(ledger, complaint(1), person=WANG)
    other = by(ledger, "张三")
    one = id_of(ledger, 1)
    with pytest.raises(
        NotAllowed, match=r"'张三' has none of the roles .*\(keeper, opener\)\. Ask one of: 李娜\."
    ):
        other.complainant(one, reason="curious")
    ledger.grant("张三", "opener")
    assert other.complainant(one, reason=" return visit ") == WANG
    (look,) = ledger.events(kind=COMPLAINANT_OPENED)
    assert (look.actor, look.subject, look.data) == ("张三", one, {"reason": "return visit"})
    assert ledger.case("N1").timeline[-1].zh == "张三 查看了 N1 的投诉人信息：return visit"
    ledger.revoke("张三", "opener")
    with pytest.raises(NotAllowed):
        other.complainant(one, reason="once more")
    assert len(list(ledger.events(kind=COMPLAINANT_OPENED))) == 1
    other.close()


@pytest.mark.parametrize("reason", ["", "  \n"])
def test_without_a_reason_nothing_is_shown_or_forgotten(ledger: Ledger, reason: str) -> None:
    receive(ledger, complaint(1), person=WANG)
    before = ledger.count()
    for deed in (ledger.complainant, ledger.forget):
        with pytest.raises(NotAllowed, match=r"No reason was given\. Say"):
            deed(id_of(ledger, 1), reason=reason)
    assert ledger.count() == before


def test_a_look_that_cannot_be_written_down_shows_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    receive(ledger, complaint(1), person=WANG)

    def refuse(*_: object) -> None:
        raise sa.exc.OperationalError("INSERT", {}, OSError("disk full"))

    monkeypatch.setattr(store, "insert", refuse)
    with pytest.raises(LedgerError, match="nothing was changed: disk full"):
        ledger.complainant(id_of(ledger, 1), reason="x")


@pytest.mark.parametrize(
    ("deed", "actor", "role", "words"),
    [
        ("grant", "张三", "king", r"There is no role 'king'\. Roles are: opener, keeper\."),
        ("grant", " ", "opener", "No name was given"),
        ("grant", "李娜", "keeper", "has the role keeper already"),
        ("revoke", "张三", "opener", "does not have the role opener"),
        ("revoke", "李娜", "keeper", r"is the only keeper\. Make somebody else one first"),
    ],
)
def test_a_change_of_roles_that_cannot_be_is_refused(
    ledger: Ledger, deed: str, actor: str, role: str, words: str
) -> None:
    receive(ledger, complaint(1), person=WANG)
    before = ledger.count()
    with pytest.raises(NotAllowed, match=words):
        getattr(ledger, deed)(actor, role)
    assert ledger.count() == before


def test_only_a_keeper_gives_roles_and_forgets(ledger: Ledger) -> None:
    receive(ledger, complaint(1), person=WANG)
    ledger.grant("张三", "opener")
    opener = by(ledger, "张三")
    with pytest.raises(NotAllowed, match=r"\(keeper\)\. Ask one of: 李娜\."):
        opener.grant("张三", "keeper")
    with pytest.raises(NotAllowed, match=r"\(keeper\)"):
        opener.forget(id_of(ledger, 1), reason="x")
    opener.close()


def test_roles_before_anybody_was_kept(ledger: Ledger) -> None:
    with pytest.raises(NotAllowed, match="and nobody has"):
        ledger.grant("张三", "opener")


@given(st.permutations(range(4)))
def test_roles_do_not_depend_on_the_order_of_events(order: list[int]) -> None:
    def event(n: int, kind: str, actor: str) -> Event:
        said = events.canonical({"actor": actor, "role": "opener"})
        return Event("d", n, "office", kind, "k", 0, 0, n, said, b"", b"")

    history = [
        event(1, ROLE_GRANTED, "a"),
        event(2, events.ROLE_REVOKED, "a"),
        event(3, ROLE_GRANTED, "b"),
        event(4, ROLE_GRANTED, "a"),
    ]
    assert roles.holders(history[n] for n in order) == {"a": {"opener"}, "b": {"opener"}}


# --- forgetting -------------------------------------------------------------------------------------------------


def test_a_forgotten_person_is_gone_and_the_rest_stays(ledger: Ledger) -> None:
    other = Person(phone="13900002222")
    receive(ledger, complaint(1), complaint(2), person=WANG)
    receive(ledger, complaint(3), person=other)
    before = ledger.state_hash(), ledger.data_version(), len(set(persons(ledger)))
    assert ledger.forget(id_of(ledger, 1), reason="asked for it in writing") == 2
    assert ledger.complainant(id_of(ledger, 1), reason="x") is None
    assert ledger.complainant(id_of(ledger, 2), reason="x") is None
    assert ledger.complainant(id_of(ledger, 3), reason="x") == other
    assert (ledger.state_hash(), ledger.data_version(), len(set(persons(ledger)))) == before
    (event,) = ledger.events(kind=PERSON_FORGOTTEN)
    assert event.data == {"reason": "asked for it in writing"}
    assert ledger.verify() == []
    assert ledger.rebuild() == before[0]


def test_who_complains_after_being_forgotten_is_a_new_person(ledger: Ledger) -> None:
    receive(ledger, complaint(1), person=WANG)
    ledger.forget(id_of(ledger, 1), reason="x")
    receive(ledger, complaint(2), person=WANG)
    assert len(set(persons(ledger))) == 2
    assert ledger.complainant(id_of(ledger, 2), reason="x") == WANG


def test_the_keys_of_a_forgotten_person_are_in_no_byte_any_more(file_ledger: Ledger, tmp_path: Path) -> None:
    receive(file_ledger, complaint(1), person=WANG)
    (key,) = rows_of(file_ledger, tables.person_key)
    (sealed,) = rows_of(file_ledger, tables.complainant)
    file_ledger.forget(id_of(file_ledger, 1), reason="x")
    file_ledger.close()
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key[3] not in written  # type: ignore[operator]
    assert sealed[3] not in written  # type: ignore[operator]


def test_nobody_cannot_be_forgotten(ledger: Ledger) -> None:
    receive(ledger, complaint(1), person=WANG)
    receive(ledger, complaint(2))
    with pytest.raises(NotAllowed, match="Nobody is known to have sent"):
        ledger.forget(id_of(ledger, 2), reason="x")


def test_time_of_a_look_is_the_ledgers(tmp_path: Path) -> None:
    ledger = Ledger("sqlite://", origin="d", actor="a", keys=Keys(tmp_path), clock=lambda: NOON)
    receive(ledger, complaint(1), person=WANG)
    ledger.complainant(id_of(ledger, 1), reason="x")
    (look,) = ledger.events(kind=COMPLAINANT_OPENED)
    assert look.recorded_at == look.occurred_at == events.microseconds(NOON)
    ledger.close()
