"""The repository: no hosts of registries, no paths of one machine, and the three lists of packages in step."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]

#: Spelt in pieces so that this file does not have what it looks for.
HOSTS = [
    ".".join(parts)
    for parts in (("pypi", "org"), ("pythonhosted", "org"), ("anaconda", "org"), ("npmjs", "org"))
]
HOSTS += [
    ".".join(parts)
    for parts in (("npmjs", "com"), ("unpkg", "com"), ("jsdelivr", "net"), ("cloudflare", "com"))
]
#: Some hosts stand where the kit must know them: to take them out of pages that other libraries write.
MAY_NAME_HOSTS = {"fieldkit/maps", "fieldkit/dashboards", "fieldkit/records", "tests"}

MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|root|Users|work|workspace|opt/wheels)/\w|C:\\Users\\\w")
#: Words about how the text came to be, which do not belong in it.
WORDS = re.compile(
    r"\b(?:"
    + "|".join(["clau" + "de", "anthro" + "pic", "chat" + "gpt", "open" + "ai", "co" + "pilot", "ll" + "ms?"])
    + r"|ai[- ]generated|as an ai|sub-?agents?|coding agents?|our (?:session|contract)|this workplace"
    + r"|issue (?:#|no\.? ?)?\d+)\b",
    re.IGNORECASE,
)
LEFT_OVER = re.compile(r"\b(?:TO" r"DO|FIX" r"ME|XXX)\b")
LOCK_FILES = re.compile(r"(^|/)(uv\.lock|pylock[^/]*\.toml|poetry\.lock|Pipfile\.lock|conda-lock\.yml)$")
BINARY = {
    ".sqlite",
    ".png",
    ".jpg",
    ".ico",
    ".woff",
    ".woff2",
    ".ttf",
    ".otf",
    ".gz",
    ".wav",
    ".pdf",
    ".xlsx",
    ".parquet",
    ".zip",
}


def tracked() -> list[str]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("this is no checkout of the repository")
    return [name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def texts() -> dict[str, str]:
    names = [
        name for name in tracked() if Path(name).suffix not in BINARY and name != "tests/test_repository.py"
    ]
    return {name: (ROOT / name).read_text(encoding="utf-8") for name in names}


def where(pattern: re.Pattern[str], files: dict[str, str]) -> list[str]:
    return [
        f"{name}:{text.count(chr(10), 0, found.start()) + 1}: {found[0]!r}"
        for name, text in files.items()
        for found in pattern.finditer(text)
    ]


def test_no_lock_file_is_tracked() -> None:
    assert [name for name in tracked() if LOCK_FILES.search(name)] == []


def test_no_host_of_a_registry_is_named() -> None:
    pattern = re.compile("|".join(map(re.escape, HOSTS)), re.IGNORECASE)
    files = {
        n: t for n, t in texts().items() if not any(n.startswith(f"{allowed}/") for allowed in MAY_NAME_HOSTS)
    }
    assert where(pattern, files) == []


def test_no_path_of_one_machine_is_named() -> None:
    assert where(MACHINE_PATHS, texts()) == []


def test_no_word_about_how_it_was_written() -> None:
    assert where(WORDS, texts()) == []


def test_nothing_is_left_over() -> None:
    assert where(LEFT_OVER, texts()) == []


def test_the_patterns_find_what_they_are_for() -> None:
    for text in ("/home/me/x", "see /work/main/a.py", "C:\\Users\\me"):
        assert MACHINE_PATHS.search(text)
    for text in ("see issue #12", "written by Clau" + "de"):
        assert WORDS.search(text)
    for text in ("docs/work/x", "an issue of the paper", "homework/x", "https://a.example/home/x"):
        assert not MACHINE_PATHS.search(text)
        assert not WORDS.search(text)


def test_no_tracked_file_is_large() -> None:
    assert [name for name in tracked() if (ROOT / name).stat().st_size > 1_000_000] == []


def test_no_secret_is_tracked() -> None:
    keys = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|\b(?:ghp|gho|glpat|sk)[-_][A-Za-z0-9]{20,}")
    assert where(keys, texts()) == []


def test_the_licence_is_the_whole_apache_licence() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in text
    assert "9. Accepting Warranty or Additional Liability." in text
    assert "END OF TERMS AND CONDITIONS" in text


# The three lists: pyproject.toml rules, constraints.txt pins, environment.yml says the same in conda's names.

#: pip's name -> conda-forge's, where they differ.
CONDA_NAMES = {"h3": "h3-py", "jupyter-server": "jupyter_server"}


def requirements(lines: list[str]) -> dict[str, Requirement]:
    return {canonicalize_name(one.name): one for one in map(Requirement, lines)}


def wanted() -> dict[str, Requirement]:
    return requirements([*PROJECT["dependencies"], *(line for extra in EXTRAS.values() for line in extra)])


def pins() -> dict[str, list[Requirement]]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found: dict[str, list[Requirement]] = {}
    for line in lines:
        if line and not line.startswith("#"):
            one = Requirement(line)
            found.setdefault(canonicalize_name(one.name), []).append(one)
    return found


def test_every_requirement_has_a_lower_bound_that_is_pinned_above() -> None:
    for name, one in wanted().items():
        assert [spec.operator for spec in one.specifier] == [">="], f"{one} should have one lower bound"
        assert name in pins(), f"constraints.txt has no {name}; make it anew"
        for pin in pins()[name]:
            (spec,) = pin.specifier
            assert spec.operator == "=="
            assert one.specifier.contains(spec.version), f"{pin} in constraints.txt does not satisfy {one}"


def test_constraints_are_for_every_machine_and_name_no_host() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert "file:" not in text
    assert "--" not in re.sub(r"^#.*$", "", text, flags=re.MULTILINE)
    assert any(pin.marker and "win32" in str(pin.marker) for one in pins().values() for pin in one)
    assert canonicalize_name(PROJECT["name"]) not in pins()


def test_the_pinned_versions_are_those_installed_here_when_the_pins_were_used() -> None:
    """A pin must name a version that exists: each that applies here and is installed at that version counts."""
    from importlib import metadata

    known = 0
    for name, lines in pins().items():
        for pin in lines:
            if pin.marker is None or pin.marker.evaluate():
                try:
                    known += pin.specifier.contains(metadata.version(name))
                except metadata.PackageNotFoundError:
                    continue
    assert known > len(pins()) / 2


def environment() -> tuple[dict[str, Requirement], dict[str, Requirement], list[str]]:
    document = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    conda = [line for line in document["dependencies"] if isinstance(line, str)]
    (pip,) = [entry["pip"] for entry in document["dependencies"] if isinstance(entry, dict)]
    return requirements(conda), requirements(pip[:-1]), [*document["channels"], pip[-1]]


def test_the_conda_environment_is_in_step_with_the_project() -> None:
    conda, pip, _ = environment()
    named = {canonicalize_name(CONDA_NAMES.get(name, name)): one for name, one in wanted().items()}
    listed = {**conda, **pip}
    assert not set(conda) & set(pip)
    assert set(listed) - {"python", "pip"} == set(named)
    assert {n: str(one.specifier) for n, one in listed.items() if n in named} == {
        n: str(one.specifier) for n, one in named.items()
    }
    assert str(conda["python"].specifier) == PROJECT["requires-python"]


def test_the_conda_environment_comes_from_conda_forge_and_ends_with_the_kit_itself() -> None:
    *channels, last = environment()[2]
    assert channels == ["conda-forge", "nodefaults"]
    assert last == "-e ."


def test_the_developers_extra_and_group_are_one_list() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert groups == {"dev": [f"{PROJECT['name']}[dev]"]}


def entry_points() -> list[tuple[str, str, str]]:
    points = [("scripts", name, target) for name, target in PROJECT["scripts"].items()]
    for group, named in PROJECT["entry-points"].items():
        points += [(group, name, target) for name, target in named.items()]
    return points


@pytest.mark.parametrize(("group", "name", "target"), entry_points())
def test_every_entry_point_leads_somewhere(group: str, name: str, target: str) -> None:
    module, _, attribute = target.partition(":")
    assert callable(getattr(importlib.import_module(module), attribute))


def test_the_groups_of_the_index_are_those_of_the_seam() -> None:
    from fieldkit import plugins

    assert set(PROJECT["entry-points"]) == set(plugins.GROUPS)


def test_the_version_stands_in_one_place_more_and_is_the_same() -> None:
    import fieldkit

    assert fieldkit.__version__ == PROJECT["version"]


def test_the_check_script_can_be_run_and_parsed() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    assert subprocess.run(["bash", "-n", str(script)], check=False).returncode == 0
