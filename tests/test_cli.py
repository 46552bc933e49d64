"""The command line: what it prints, its exit codes, and that no traceback reaches a person."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import fieldkit as fk
from fieldkit import testing
from fieldkit.cli import COMMANDS, cli
from fieldkit.cli.printing import clean
from fieldkit.workspace import Workspace


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, list(arguments))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "Traceback" not in result.output
    return result


def test_help_lists_every_command() -> None:
    output = run("--help").output
    assert all(name in output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    result = run(name, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.output


def test_cases_are_listed_with_their_numbers(sample: Workspace) -> None:
    result = run("cases", "-w", str(sample.settings.folder), "--limit", "0")
    assert result.exit_code == 0
    assert "57 of 57 cases" in result.output
    assert "S-001" in result.output
    assert "S-004" not in result.output, "a complaint that was linked has no case of its own"


def test_cases_beyond_the_limit_are_told_of_not_counted(sample: Workspace) -> None:
    folder = str(sample.settings.folder)
    every = json.loads(run("cases", "-w", folder, "--limit", "0", "--json").output)
    result = run("cases", "-w", folder, "--limit", "5")
    assert "The newest 5 cases; `--limit 0` shows all." in result.output
    assert json.loads(run("cases", "-w", folder, "--limit", "5", "--json").output) == every[:5]
    assert "57 of 57 cases" in run("cases", "-w", folder, "--limit", "57").output
    still = json.loads(run("cases", "-w", folder, "--open", "--limit", "5", "--json").output)
    assert still == [case for case in every if case["state"] != "CLOSED"][:5]


def test_repeated_cases_come_with_the_most_complaints_first(sample: Workspace) -> None:
    result = run("cases", "-w", str(sample.settings.folder), "--repeated", "--json")
    (case,) = json.loads(result.output)
    assert (case["number"], case["complaints"]) == ("S-001", 4)


def test_cases_can_be_filtered(sample: Workspace) -> None:
    arguments = (
        "-w",
        str(sample.settings.folder),
        "--category",
        "noise",
        "--since",
        "2017-07-01",
        "--until",
        "2017-08-01",
    )
    cases = json.loads(run("cases", *arguments, "--limit", "0", "--json").output)
    expected = sample.cases(category="noise", since=date(2017, 7, 1))
    assert cases
    assert {case["number"] for case in cases} <= set(expected["number"])
    assert all(case["first_at"] < "2017-08-01" for case in cases)


def test_where_there_are_no_cases_it_is_said(sample: Workspace) -> None:
    result = run("cases", "-w", str(sample.settings.folder), "--since", "2030-01-01")
    assert (result.exit_code, result.output[:14]) == (0, "No such cases.")
    assert (
        json.loads(run("cases", "-w", str(sample.settings.folder), "--since", "2030-01-01", "--json").output)
        == []
    )


def test_case_shows_the_timeline(sample: Workspace) -> None:
    result = run("case", "S-001", "-w", str(sample.settings.folder))
    assert result.exit_code == 0
    for expected in (
        "S-004",
        "a recurrence (incomplete rectification)",
        "再次投诉",
        "Complaint S-001 received",
    ):
        assert expected in result.output


def test_case_names_no_complainant(sample: Workspace) -> None:
    for arguments in (("case", "S-001"), ("case", "S-001", "--json"), ("cases", "--json", "--limit", "0")):
        output = run(*arguments, "-w", str(sample.settings.folder)).output
        assert "Resident" not in output
        assert "1390000" not in output


def test_unknown_case_is_refused_in_one_sentence(sample: Workspace) -> None:
    result = run("case", "X-99", "-w", str(sample.settings.folder))
    assert result.exit_code == 2
    assert "There is no case 'X-99'" in result.output


def test_no_workspace_is_said_with_the_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("cases")
    assert result.exit_code == 2
    assert "fieldkit init" in result.output


def test_init_twice_is_refused(tmp_path: Path) -> None:
    assert run("init", str(tmp_path / "office")).exit_code == 0
    again = run("init", str(tmp_path / "office"))
    assert again.exit_code == 2
    assert "already is a workspace" in again.output


def test_verify_names_a_changed_event(sample: Workspace) -> None:
    import sqlite3

    folder = str(sample.settings.folder)
    assert run("verify", "-w", folder).exit_code == 0
    sample.ledger.close()
    with sqlite3.connect(sample.settings.folder / "ledger.sqlite") as connection:
        connection.execute("UPDATE event SET payload = replace(payload, 'S-005', 'S-500') WHERE sequence = 6")
    result = run("verify", "-w", folder)
    assert result.exit_code == 2
    assert "Event 6" in result.output  # the first is the device's, naming its key


def test_rebuild_says_whether_the_tables_were_right(sample: Workspace) -> None:
    import sqlite3

    folder = str(sample.settings.folder)
    assert run("rebuild", "-w", folder).exit_code == 0
    sample.ledger.close()
    with sqlite3.connect(sample.settings.folder / "ledger.sqlite") as connection:
        connection.execute("UPDATE complaint SET address = 'elsewhere'")
    assert run("rebuild", "-w", folder).exit_code == 1
    assert run("rebuild", "-w", folder).exit_code == 0


def test_a_bad_day_is_explained(sample: Workspace) -> None:
    result = run("cases", "-w", str(sample.settings.folder), "--since", "July")
    assert result.exit_code == 2
    assert "YYYY-MM-DD" in result.output


def test_records_want_to_know_which_cases(sample: Workspace) -> None:
    result = run("records", "-w", str(sample.settings.folder))
    assert result.exit_code == 2
    assert "--case" in result.output


def test_import_end_to_end(tmp_path: Path) -> None:
    folder = str(tmp_path / "office")
    run("init", folder)
    file = tmp_path / "投诉.csv"
    file.write_text(
        "编号,投诉时间,投诉内容,经度,纬度\n1,2017-07-03 22:15,夜间施工噪声,105.84,32.43\n2,soon,油烟,105.84,32.43\n",
        encoding="gb18030",
    )
    dry = run("import", str(file), "-w", folder, "--crs", "gcj02", "--dry-run")
    assert dry.exit_code == 1
    assert "投诉时间" in dry.output
    assert "1 would be added" in dry.output
    assert json.loads(run("cases", "-w", folder, "--json").output) == []
    done = json.loads(run("import", str(file), "-w", folder, "--crs", "gcj02", "--json").output)[0]
    assert (done["read"], done["added"], done["refused"]) == (2, 1, 1)
    again = json.loads(run("import", str(file), "-w", folder, "--crs", "gcj02", "--json").output)[0]
    assert (again["added"], again["known"]) == (0, 1)
    refused = Path(done["refused_path"])
    refused.write_text(
        refused.read_text(encoding="utf-8-sig").replace("soon", "2017-07-04"), encoding="utf-8-sig"
    )
    mended = json.loads(run("import", str(refused), "-w", folder, "--crs", "gcj02", "--json").output)[0]
    assert (mended["added"], mended["refused"]) == (1, 0)


def test_coordinates_in_china_must_say_their_system(tmp_path: Path) -> None:
    folder = str(tmp_path / "office")
    run("init", folder)
    file = tmp_path / "a.csv"
    file.write_text("id,received_at,lon,lat\n1,2017-07-03 22:15,105.84,32.43\n", encoding="utf-8")
    result = run("import", str(file), "-w", folder)
    assert result.exit_code == 2
    assert "gcj02" in result.output


def test_a_missing_file_is_refused(sample: Workspace, tmp_path: Path) -> None:
    result = run("import", str(tmp_path / "none.csv"), "-w", str(sample.settings.folder))
    assert result.exit_code == 2
    assert "none.csv" in result.output


def test_analyse_writes_what_it_says(sample: Workspace, tmp_path: Path) -> None:
    out = tmp_path / "rhythm.csv"
    result = run("analyse", "rhythm", "-w", str(sample.settings.folder), "--out", str(out))
    assert result.exit_code == 0, result.output
    assert out.is_file()


@pytest.mark.parametrize("option", ["seed=1", "since=2017", "out='x'"])
def test_what_has_an_option_of_its_own_cannot_be_set(sample: Workspace, option: str) -> None:
    result = run("analyse", "rhythm", "-w", str(sample.settings.folder), "--set", option)
    assert result.exit_code == 2
    assert f"--{option.partition('=')[0]}" in result.output


def test_a_file_that_the_machine_refuses_is_named_in_one_sentence(sample: Workspace, tmp_path: Path) -> None:
    table = tmp_path / "a.csv"
    table.write_text("number,received_at,text\n1,never,hum\n", encoding="utf-8")
    sample.settings.out.rmdir()
    sample.settings.out.write_text("not a folder", encoding="utf-8")
    result = run("import", str(table), "-w", str(sample.settings.folder))
    assert result.exit_code == 2
    assert f"fieldkit: {sample.settings.out} cannot be used: " in result.output


def test_analyse_explains_a_wrong_name(sample: Workspace) -> None:
    result = run("analyse", "hotspot", "-w", str(sample.settings.folder))
    assert result.exit_code == 2
    assert "hotspots" in result.output


def test_plugins_are_listed_and_checked() -> None:
    result = run("plugins", "--check", "--json")
    listed = json.loads(result.output)
    assert listed["wrong"] == {}
    assert {"csv", "hotspots", "noise", "pdf"} <= {plugin["name"] for plugin in listed["plugins"]}


def test_a_complaint_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b[31mb\r\nc\u202ed") == "a\ufffd[31mb c\ufffdd"


def test_the_program_runs_as_a_module(tmp_path: Path) -> None:
    testing.sample_workspace(tmp_path / "office")
    command = [sys.executable, "-m", "fieldkit", "cases", "-w", str(tmp_path / "office"), "--limit", "1"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert "The newest case;" in done.stdout


def test_an_import_says_what_no_column_was_found_for_and_how_to_go_on(
    sample: Workspace, tmp_path: Path
) -> None:
    path = tmp_path / "two words.csv"
    path.write_text("Nr.,received,what\u001b[31m\n1,2017-07-01,loud\n2,never,loud\n", encoding="utf-8")
    folder = str(sample.settings.folder)
    result = run("import", str(path), "-w", folder, "--crs", "gcj02", "--source", "the hotline")
    assert result.exit_code == 1
    assert "no column was recognised as the complaint's text or its category or its place" in result.output
    assert "--crs gcj02 --source 'the hotline'" in result.output
    assert f"import '{sample.settings.out / 'refused-two words.csv'}'" in result.output
    assert "Write it as 2017-07-03 22:15." in result.output
    assert "\u001b" not in result.output


# --- who complained, heads, and the past ------------------------------------------------------------------------


def test_who_complained_is_shown_to_who_may_and_the_look_is_written_down(sample: Workspace) -> None:
    folder = ("-w", str(sample.settings.folder))
    assert run("complainant", "S-001", *folder).exit_code == 2, "without a reason"
    result = run("complainant", "S-001", "--reason", "return visit", *folder)
    assert result.exit_code == 0
    assert "Resident 1" in result.output
    assert "13900000000" in result.output
    assert "looked at who sent S-001: return visit" in run("case", "S-001", *folder).output
    told = json.loads(run("complainant", "S-002", "--reason", "x", "--json", *folder).output)
    assert told["phone"] == "13900000001"


def test_who_has_no_role_is_refused_in_a_sentence(sample: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIELDKIT_ACTOR", "somebody")
    result = run("complainant", "S-001", "--reason", "curious", "-w", str(sample.settings.folder))
    assert result.exit_code == 2
    assert result.output.startswith("fieldkit: 'somebody' has none of the roles that this needs")
    assert "Resident" not in result.output


def test_a_person_is_forgotten_after_a_question(sample: Workspace) -> None:
    arguments = (
        "complainant",
        "S-001",
        "--reason",
        "asked for it",
        "--forget",
        "-w",
        str(sample.settings.folder),
    )
    asked = CliRunner().invoke(cli, list(arguments), input="n\n")
    assert "Forget?" in asked.output
    assert "Forgotten" not in asked.output
    assert "Forgotten: who sent 1 complaint. The complaints stay." in run(*arguments, "--yes").output
    shown = run("complainant", "S-001", "--reason", "x", "-w", str(sample.settings.folder))
    assert "or the person was forgotten" in shown.output


def test_roles_are_shown_given_and_taken_back(sample: Workspace) -> None:
    folder = ("-w", str(sample.settings.folder))
    assert "keeper" in run("roles", *folder).output
    assert "李娜" in run("roles", "--grant", "李娜", "opener", *folder).output
    assert "李娜" not in run("roles", "--revoke", "李娜", "opener", *folder).output
    assert run("roles", "--grant", "李娜", "king", *folder).exit_code == 2
    assert [one["role"] for one in json.loads(run("roles", "--json", *folder).output)] == ["keeper"]


def test_an_empty_workspace_has_no_roles_and_no_heads(tmp_path: Path) -> None:
    run("init", str(tmp_path / "office"))
    assert "Nobody has a role yet" in run("roles", "-w", str(tmp_path / "office")).output
    assert "Nothing was written yet" in run("heads", "-w", str(tmp_path / "office")).output


def test_a_tail_that_was_cut_off_is_found_by_heads_kept_elsewhere(sample: Workspace, tmp_path: Path) -> None:
    folder = ("-w", str(sample.settings.folder))
    shutil.copy(sample.settings.folder / "ledger.sqlite", tmp_path / "older")
    fk.confirm_place(sample, "S-002", 105.8, 32.43)
    heads = tmp_path / "heads.jsonl"
    assert "yes" in run("heads", "--out", str(heads), *folder).output
    sample.ledger.close()
    assert run("verify", "--heads", str(heads), *folder).exit_code == 0
    shutil.copy(tmp_path / "older", sample.settings.folder / "ledger.sqlite")
    result = run("verify", "--heads", str(heads), *folder)
    assert result.exit_code == 2
    assert "are missing: a head kept elsewhere names them." in result.output
    # It was remembered, too.
    assert run("verify", *folder).exit_code == 2
    heads.write_text("nonsense", encoding="utf-8")
    assert "cannot be read" in run("verify", "--heads", str(heads), *folder).output
    (plain,) = json.loads(run("heads", "--json", *folder).output)
    assert plain["origin"] == sample.settings.origin


def test_the_past_can_be_asked_for(sample: Workspace) -> None:
    before = datetime.now(UTC).isoformat()
    folder = ("-w", str(sample.settings.folder))
    assert "57 of 57" in run("cases", "--limit", "0", "--as-of", "2100-01-01", *folder).output
    assert "No such cases" in run("cases", "--as-of", "2017-12-31", *folder).output
    assert run("case", "S-001", "--as-of", "2100-01-01T12:00", *folder).exit_code == 0
    assert "There is no case 'S-001'" in run("case", "S-001", "--as-of", "2017-12-31", *folder).output
    assert run("analyse", "rhythm", "--as-of", "2100-01-01", *folder).exit_code == 0
    refused = run("cases", "--as-of", "yesterday", *folder)
    assert refused.exit_code == 2
    assert "'yesterday' is not a day or a moment" in refused.output
    photo = sample.settings.folder / "seen.txt"
    photo.write_text("seen", encoding="utf-8")
    fk.add_evidence(sample, "S-001", [photo])
    for when, wanted in (("2100-01-01", True), (before, False)):
        assert ("seen.txt" in run("evidence", "list", "S-001", "--as-of", when, *folder).output) == wanted
    assert "keeper" in run("roles", "--as-of", "2100-01-01", *folder).output
    assert "Nobody has a role yet" in run("roles", "--as-of", "2017-12-31", *folder).output
    refused = run("roles", "--as-of", "2100-01-01", "--grant", "somebody", "opener", *folder)
    assert refused.exit_code == 2
    assert "nothing is written into the past" in refused.output
