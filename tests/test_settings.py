"""The workspace's settings: order of strength, refusals that name the key, a way back from disk."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import hostile_texts
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from fieldkit import settings
from fieldkit.errors import SettingsError

HOSTILE = (
    *hostile_texts.HOSTILE,
    "two\nlines",
    '"""',
    "\x00\x1b[31m",
    "\x7f",
)


def write(folder: Path, text: str) -> Path:
    (folder / settings.FILE_NAME).write_text(text, encoding="utf-8")
    return folder


def test_defaults_are_those_of_the_bureau(tmp_path: Path) -> None:
    read = settings.read_settings(write(tmp_path, 'origin = "laptop"'), {})
    assert (read.time_zone, read.language, read.crs, read.plugins) == ("Asia/Shanghai", "both", "ask", ())
    assert read.ledger == f"sqlite:///{(tmp_path / 'ledger.sqlite').as_posix()}"
    assert str(read.zone) == "Asia/Shanghai"
    assert read.layers == tmp_path / "layers"
    assert read.maps == tmp_path / "maps"
    assert read.records == tmp_path / "records"
    assert read.out == tmp_path / "out"


def test_a_variable_is_stronger_than_the_file(tmp_path: Path) -> None:
    write(tmp_path, 'origin = "laptop"\ntitle = "file"\nplugins = ["a"]')
    read = settings.read_settings(
        tmp_path, {"FIELDKIT_TITLE": "variable", "FIELDKIT_PLUGINS": "b,readers:c,"}
    )
    assert read.title == "variable"
    assert read.plugins == ("b", "readers:c")


def test_settings_cannot_be_changed_after_reading(tmp_path: Path) -> None:
    read = settings.read_settings(write(tmp_path, 'origin = "laptop"'), {})
    with pytest.raises(dataclasses.FrozenInstanceError):
        read.title = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('origin = "x"\ncolour = "red"', "'colour', which is not a setting"),
        ('title = "x"', "names no origin"),
        ('origin = ""', "names no origin"),
        ('origin = "x"\ntitle = 7', "title to 7"),
        ('origin = "x"\nplugins = "noise"', "plugins to 'noise'"),
        ('origin = "x"\nplugins = [1]', "plugins to [1]"),
        ('origin = "x"\nlanguage = "fr"', "language to 'fr'"),
        ('origin = "x"\ncrs = "mars"', "crs to 'mars'"),
        ('origin = "x"\ntime_zone = "Guangyuan"', "time_zone to 'Guangyuan'"),
        ('origin = "x"\ntime_zone = "Asia"', "time_zone to 'Asia'"),
        ('origin = "x"\ntime_zone = "../../etc/passwd"', "time_zone to '../../etc/passwd'"),
        ('origin = "x', "is not valid TOML"),
        ("[origin]\na = 1", "origin to {'a': 1}"),
    ],
)
def test_a_wrong_setting_is_named_with_its_file(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings.read_settings(write(tmp_path, text), {})
    assert named in str(refused.value)
    assert str(tmp_path / settings.FILE_NAME) in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [("FIELDKIT_LANGUAGE", "fr"), ("FIELDKIT_CRS", ""), ("FIELDKIT_TIME_ZONE", "Mars/Olympus")],
)
def test_a_wrong_variable_is_refused_like_a_wrong_line(tmp_path: Path, variable: str, value: str) -> None:
    key = variable.removeprefix("FIELDKIT_").lower()
    with pytest.raises(SettingsError, match=f"^The variable {variable} sets {key} to '{value}'"):
        settings.read_settings(write(tmp_path, 'origin = "x"'), {variable: value})


@pytest.mark.parametrize("ledger", ["sqlite:///own.sqlite", "sqlite:///deep/own.sqlite"])
def test_a_relative_ledger_lies_in_the_workspace_wherever_the_kit_is_called_from(
    tmp_path: Path, ledger: str
) -> None:
    read = settings.read_settings(write(tmp_path, f'origin = "x"\nledger = "{ledger}"'), {})
    assert read.ledger == f"sqlite:///{tmp_path.as_posix()}/{ledger.removeprefix('sqlite:///')}"
    assert settings.read_settings(tmp_path, {"FIELDKIT_LEDGER": ledger}).ledger == read.ledger


@pytest.mark.parametrize(
    "ledger", ["sqlite:////var/own.sqlite", "sqlite:///:memory:", "postgresql://a:secret@host/b"]
)
def test_any_other_address_stays_as_it_is_and_out_of_the_repr(tmp_path: Path, ledger: str) -> None:
    read = settings.read_settings(write(tmp_path, f'origin = "x"\nledger = "{ledger}"'), {})
    assert read.ledger == ledger
    assert ledger not in repr(read)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / settings.FILE_NAME).write_bytes(b'origin = "\xff\xfe"')
    with pytest.raises(SettingsError, match="is not valid TOML"):
        settings.read_settings(tmp_path, {})


def test_a_file_saved_by_notepad_is_read(tmp_path: Path) -> None:
    (tmp_path / settings.FILE_NAME).write_bytes('\ufefforigin = "x"\r\ntitle = "局"\r\n'.encode())
    assert settings.read_settings(tmp_path, {}).title == "局"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read"):
        settings.read_settings(tmp_path, {})


@pytest.mark.parametrize("title", HOSTILE)
def test_what_is_written_is_read_back(tmp_path: Path, title: str) -> None:
    written = settings.write_settings(tmp_path, title=title)
    assert settings.read_settings(tmp_path, {}) == written
    assert written.title == title


@given(st.text(st.characters(exclude_categories=["Cs"])))
@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_text_is_read_back(tmp_path: Path, title: str) -> None:
    (tmp_path / settings.FILE_NAME).unlink(missing_ok=True)
    settings.write_settings(tmp_path, title=title)
    assert settings.read_settings(tmp_path, {}).title == title


def test_two_workspaces_have_two_origins(tmp_path: Path) -> None:
    origins = {settings.write_settings(tmp_path / name).origin for name in "ab"}
    assert len(origins) == 2


def test_a_workspace_is_not_made_over_another(tmp_path: Path) -> None:
    settings.write_settings(tmp_path, title="first")
    with pytest.raises(SettingsError, match="already is a workspace"):
        settings.write_settings(tmp_path, title="second")
    assert settings.read_settings(tmp_path, {}).title == "first"


def test_a_refused_workspace_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        settings.write_settings(tmp_path, language="fr")
    assert list(tmp_path.iterdir()) == []


def test_the_workspace_is_found_from_a_folder_inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.write_settings(tmp_path)
    (tmp_path / "records" / "A1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "records" / "A1")
    assert settings.find_workspace(environment={}) == tmp_path


def test_an_argument_is_stronger_than_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "ab":
        settings.write_settings(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    environment = {"FIELDKIT_WORKSPACE": str(tmp_path / "b")}
    assert settings.find_workspace("a", environment) == tmp_path / "a"
    assert settings.find_workspace(environment=environment) == tmp_path / "b"


def test_ones_own_workspace_is_stronger_than_the_demonstration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.write_settings(tmp_path)
    settings.write_settings(tmp_path / settings.DEMO_FOLDER)
    monkeypatch.chdir(tmp_path)
    assert settings.find_workspace(environment={}) == tmp_path
    (tmp_path / settings.FILE_NAME).unlink()
    assert settings.find_workspace(environment={}) == tmp_path / settings.DEMO_FOLDER


def test_no_workspace_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingsError, match="fieldkit init"):
        settings.find_workspace(environment={})
    with pytest.raises(SettingsError, match="is not a workspace"):
        settings.find_workspace(tmp_path / "nowhere", {})


def test_what_comes_with_the_kit_is_found_and_what_does_not_is_named() -> None:
    assert settings.asset("notebooks").is_dir()
    with pytest.raises(SettingsError, match="did not come with"):
        settings.asset("notebooks/nothing.ipynb")
