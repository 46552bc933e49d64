"""The faults of ``tests/faults``, reduced: nothing acknowledged is lost, nothing is half there, whatever happens."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from faults import clocks, disk, failing_calls, kills, kinds, power_cuts, stores, totals, writers
from faults.totals import Totals
from hypothesis import given, settings

SEED = 1


def fine(found: Totals) -> None:
    assert found.notes == []
    assert found.fine
    assert found.attempts > 0


# --- kills ------------------------------------------------------------------------------------------------------

REDUCED = kills.shares(kinds.REDUCED_KILLS)


@pytest.mark.parametrize("name", REDUCED)
def test_a_killed_work_loses_nothing(name: str) -> None:
    fine(kills.run(SEED, REDUCED[name], name, deeds_each=6))


def test_a_missing_record_and_a_half_one_are_seen(tmp_path: Path) -> None:
    """The examination itself: of a store with a record too few, a deed in part and a row without its event."""
    ws = stores.new_workspace(tmp_path / "office")
    deed = stores.Deed("F", stores.FIRST, 2)
    stores.do(ws.ledger, random.Random(1), deed)
    whole, part = stores.Deed("F", stores.FIRST + 2, 1, acknowledged=True), stores.Deed("F", stores.FIRST, 3)
    found = Totals("")
    stores.examine(ws.ledger, [deed, whole, part], found, "here")
    assert (found.lost, found.half, found.unreadable) == (1, 1, 0)
    ws.ledger.close()


# --- power cuts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("journal", power_cuts.RIGHT)
def test_a_power_cut_loses_nothing(journal: str) -> None:
    fine(power_cuts.run(SEED, kinds.REDUCED_CUTS // 2, journal, most=60))


@pytest.mark.parametrize("name", power_cuts.WRONG)
def test_wrong_settings_are_seen_to_lose(name: str) -> None:
    assert power_cuts.run_wrong(SEED, 20, name).lost > 0


def test_the_disk_keeps_what_was_synced_and_no_more(tmp_path: Path) -> None:
    content = disk.Content(bytearray(b"a" * 1_024))
    content.pending.append((0, b"b" * 1_024))
    left = {content.after_cut(random.Random(n), 0.3) for n in range(100)}
    assert left == {one * 512 + other * 512 for one in (b"a", b"b") for other in (b"a", b"b")}
    content.sync()
    assert {content.after_cut(random.Random(n), 0.0) for n in range(10)} == {b"b" * 1_024}


# --- failing calls ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("journal", power_cuts.RIGHT)
@pytest.mark.parametrize("name", failing_calls.DEEDS)
def test_a_failing_call_leaves_the_old_state_or_the_new_and_a_sentence(name: str, journal: str) -> None:
    fine(failing_calls.run(SEED, name, journal, every=29))


# --- writers ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("own_origins", [False, True])
@pytest.mark.parametrize("journal", ["", "wal"])
def test_eight_writers_on_one_file(journal: str, own_origins: bool) -> None:
    fine(writers.run_sqlite(SEED, 8, 40, own_origins=own_origins, journal=journal))


@pytest.mark.postgres
@pytest.mark.parametrize("own_origins", [False, True])
def test_thirty_two_writers_on_a_server(postgres_database: Callable[[], str], own_origins: bool) -> None:
    fine(writers.run_postgres(SEED, postgres_database(), 32, 20, own_origins=own_origins))


# --- clocks -----------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(clocks.deeds)
def test_a_wrong_clock_changes_neither_what_is_there_nor_the_order(done: list[clocks.Deed]) -> None:
    clocks.check(done)


def test_an_unlink_holds_although_the_clock_jumped_back() -> None:
    later, earlier = datetime(2018, 3, 5, 12, 0, tzinfo=UTC), datetime(2008, 3, 5, 12, 0, tzinfo=UTC)
    clocks.check([clocks.Deed(0, later, 1, "link", 0), clocks.Deed(0, earlier, 1, "unlink", 0)])


# --- the command ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[subprocess.CompletedProcess[str], str]:
    log = tmp_path_factory.mktemp("faults") / "log"
    command = [
        sys.executable,
        "-m",
        "tests.faults",
        "--only",
        "open an old store",
        "--seed",
        "7",
        "--log",
        str(log),
    ]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, timeout=120
    )
    return done, log.read_text(encoding="utf-8")


def test_the_command_prints_a_table_and_keeps_seed_and_log(
    told: tuple[subprocess.CompletedProcess[str], str],
) -> None:
    done, log = told
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("| what ")
    assert "| all " in done.stdout
    assert log.startswith("seed 7, reduced, SQLite ")
    assert "| failing calls, open an old store, wal" in log


def test_the_command_knows_no_other_kind() -> None:
    command = [sys.executable, "-m", "tests.faults", "--only", "earthquakes"]
    done = subprocess.run(
        command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert "No kind has 'earthquakes' in its name." in done.stderr


def test_a_table_adds_up() -> None:
    text = totals.table(
        [Totals("a", attempts=1, lost=2), Totals("b", attempts=1_000), Totals("c", skipped="why")]
    )
    assert "| all  |    1,001 |" in text
    assert "| c    |  skipped |" in text
    assert not Totals("a", lost=1).fine
