"""The plugin seam: bad plugins are named in one sentence, the rest works on, the unlisted are never imported."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from fieldkit import plugins
from fieldkit.errors import PluginError

ROOT = Path(__file__).parents[1]
BUILT_IN = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]

GOOD = """
class Good:
    title = "Good"
    category = "noise"
    subcategories = ()
    notebook = None
"""


@dataclass
class Package:
    """A package with plugins as an installer leaves it on disk: modules and a dist-info folder."""

    name: str
    points: dict[str, dict[str, str]]
    modules: dict[str, str] = field(default_factory=dict)
    version: str = "1.0"

    def install(self, folder: Path) -> Path:
        info = folder / f"{self.name.replace('-', '_')}-{self.version}.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}\n")
        lines = []
        for group, points in self.points.items():
            lines += [f"[{group}]", *(f"{name} = {target}" for name, target in points.items())]
        (info / "entry_points.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for name, source in self.modules.items():
            (folder / f"{name}.py").write_text(source, encoding="utf-8")
        return info


def pack(
    source: str, target: str = "probe:Good", name: str = "probe", package: str = "probe-package"
) -> Package:
    return Package(package, {"fieldkit.packs": {name: target}}, {"probe": source})


def run(folder: Path, program: str) -> tuple[dict[str, Any], str]:
    """Run *program* with *folder* on the path; it puts what it found into ``said``. Returns that and stderr."""
    program = (
        "import json, sys\nfrom fieldkit import plugins\nfrom fieldkit.errors import PluginError\nsaid = {}\n"
        "def refusal(group, name, allowed=()):\n"
        "    try:\n        plugins.load_plugin(group, name, allowed)\n"
        "    except PluginError as error:\n        return str(error)\n"
        + textwrap.dedent(program)
        + "\nprint(json.dumps(said))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(folder), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), done.stderr


PACKS = '"fieldkit.packs", "probe", ["probe"]'

#: What is wrong with a pack, its module, where its entry point leads, and the words that must name the fault.
BAD = {
    "needs a package that is not there": (
        "import not_installed",
        "probe:Good",
        "No module named 'not_installed'",
    ),
    "is no Python": ("class Good(:", "probe:Good", "SyntaxError"),
    "is not UTF-8": ("# coding: ascii\nx = '噪'", "probe:Good", "SyntaxError"),
    "has a NUL byte": ("x = 1\0", "probe:Good", "SyntaxError"),
    "raises while imported": ("raise ValueError('no licence')", "probe:Good", "ValueError: no licence"),
    "raises without a word": ("raise RuntimeError", "probe:Good", "RuntimeError"),
    "raises many lines": ("raise ValueError('a\\n' * 500)", "probe:Good", "ValueError: a a a"),
    "raises text that people wrote": (
        "raise ValueError('<img src=x onerror=alert(1)> {{7*7}}')",
        "probe:Good",
        "ValueError: <img src=x onerror=alert(1)> {{7*7}}",
    ),
    "raises what cannot be shown": (
        "class Silent(Exception):\n    def __str__(self): raise ValueError\nraise Silent",
        "probe:Good",
        "Silent",
    ),
    "asserts": ("assert False", "probe:Good", "AssertionError"),
    "imports itself in a circle": ("from probe import Good", "probe:Good", "ImportError"),
    "recurses for ever": ("def f(): f()\nf()", "probe:Good", "RecursionError"),
    "runs out of memory": ("raise MemoryError", "probe:Good", "MemoryError"),
    "exits": ("import sys; sys.exit(3)", "probe:Good", "SystemExit: 3"),
    "exits quietly": ("raise SystemExit", "probe:Good", "SystemExit"),
    "exits when made": (
        "import sys\nclass Good:\n    def __init__(self): sys.exit(0)",
        "probe:Good",
        "SystemExit",
    ),
    "raises when made": ("class Good:\n    def __init__(self): 1 / 0", "probe:Good", "ZeroDivisionError"),
    "wants arguments": ("class Good:\n    def __init__(self, path): ...", "probe:Good", "missing 1 required"),
    "is not where it says": (GOOD, "nowhere:Good", "No module named 'nowhere'"),
    "is not called what it says": (GOOD, "probe:Better", "has no attribute 'Better'"),
    "says nothing": (GOOD, "", "cannot be used"),
    "says no module": (GOOD, ":Good", "cannot be used"),
    "says nonsense": (GOOD, "../probe.py", "cannot be used"),
    "names a module and no class": (GOOD, "probe", "'module' object is not callable"),
    "is a number": ("Good = 7", "probe:Good", "'int' object is not callable"),
    "is a function that gives nothing": ("def Good(): return None", "probe:Good", "lacks part of Pack"),
    "is abstract": (
        "import abc\nclass Good(abc.ABC):\n    @abc.abstractmethod\n    def f(self): ...",
        "probe:Good",
        "abstract",
    ),
    "lacks everything": ("class Good: ...", "probe:Good", "lacks part of Pack"),
    "lacks one thing": (GOOD.replace("notebook = None", "..."), "probe:Good", "lacks part of Pack"),
    "raises when asked for its title": (
        GOOD.replace('title = "Good"', "@property\n    def title(self): raise OSError('gone')"),
        "probe:Good",
        "OSError: gone",
    ),
    "is of another group": (
        "class Good:\n    title = source = ''\n    def run(self, frame): ...",
        "probe:Good",
        "lacks part of Pack",
    ),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_plugin_is_named_in_one_sentence_and_the_others_work(tmp_path: Path, fault: str) -> None:
    source, target, words = BAD[fault]
    pack(source, target).install(tmp_path)
    said, _ = run(
        tmp_path,
        f"""
        said["refused"] = refusal({PACKS})
        said["noise"] = plugins.load_plugin("fieldkit.packs", "noise").category
        said["listed"] = len(plugins.list_plugins())
        """,
    )
    assert words in said["refused"]
    assert "'probe' of the package probe-package" in said["refused"]
    assert said["refused"].endswith("Update or remove the package.")
    assert "\n" not in said["refused"]
    assert "Traceback" not in said["refused"]
    assert len(said["refused"]) < 500
    assert said["noise"] == "noise"
    assert said["listed"] == len(plugins.list_plugins()) + 1


def test_there_are_thirty_bad_plugins() -> None:
    assert len(BAD) >= 30


def test_a_good_foreign_plugin_is_used_when_listed(tmp_path: Path) -> None:
    pack(GOOD).install(tmp_path)
    said, _ = run(
        tmp_path,
        f"""
        said["title"] = plugins.load_plugin({PACKS}).title
        said["by group"] = plugins.load_plugin("fieldkit.packs", "probe", ["packs:probe"]).title
        """,
    )
    assert said == {"title": "Good", "by group": "Good"}


@pytest.mark.parametrize("allowed", [[], ["other-probe"], ["readers:probe"], ["probe-package"], ["PROBE"]])
def test_an_unlisted_plugin_is_never_imported(tmp_path: Path, allowed: list[str]) -> None:
    pack("import pathlib\npathlib.Path(__file__).with_name('imported').touch()\n" + GOOD).install(tmp_path)
    said, _ = run(
        tmp_path,
        f"""
        said["refused"] = refusal("fieldkit.packs", "probe", {allowed!r})
        said["allowed"] = [one.allowed for one in plugins.list_plugins({allowed!r}) if one.name == "probe"]
        for one in plugins.list_plugins({allowed!r}):
            if one.group == "fieldkit.packs" and one.allowed:
                plugins.load_plugin(one.group, one.name, {allowed!r})
        said["loaded"] = "probe" in sys.modules
        """,
    )
    assert "probe-package is not on this workspace's list" in said["refused"]
    assert 'add "probe" to plugins in fieldkit.toml' in said["refused"]
    assert said["allowed"] == [False]
    assert not said["loaded"]
    assert not (tmp_path / "imported").exists()


def test_listing_imports_no_plugin(tmp_path: Path) -> None:
    pack("raise SystemExit").install(tmp_path)
    said, _ = run(
        tmp_path,
        """
        listed = plugins.list_plugins(["probe"])
        said["mine"] = [[one.group, one.name, one.package, one.version, one.allowed, one.built_in]
                        for one in listed if one.name == "probe"]
        said["loaded"] = [name for name in sys.modules if name == "probe" or name.startswith("fieldkit.packs")]
        """,
    )
    assert said["mine"] == [["fieldkit.packs", "probe", "probe-package", "1.0", True, False]]
    assert said["loaded"] == []


def test_what_a_plugin_prints_stays_out_of_the_result(tmp_path: Path) -> None:
    pack("print('thank you for choosing probe')\n" + GOOD).install(tmp_path)
    said, stderr = run(tmp_path, f'said["title"] = plugins.load_plugin({PACKS}).title')
    assert said == {"title": "Good"}
    assert "thank you for choosing probe" in stderr


def test_two_packages_with_one_name_are_both_named(tmp_path: Path) -> None:
    pack(GOOD).install(tmp_path)
    pack(GOOD, package="another-package").install(tmp_path)
    said, _ = run(tmp_path, f'said["refused"] = refusal({PACKS})')
    assert said["refused"] == (
        "The packages another-package and probe-package both offer the packs plugin 'probe'. Remove one of them."
    )


def test_nobody_takes_the_place_of_a_built_in_plugin(tmp_path: Path) -> None:
    pack("raise SystemExit", name="noise").install(tmp_path)
    said, _ = run(
        tmp_path,
        """
        for allowed in ((), ("noise",), ("packs:noise",)):
            said[str(allowed)] = type(plugins.load_plugin("fieldkit.packs", "noise", allowed)).__module__
        """,
    )
    assert set(said.values()) == {"fieldkit.packs.noise"}


def test_a_package_found_twice_counts_once(tmp_path: Path) -> None:
    pack(GOOD).install(tmp_path / "first")
    older = pack(GOOD)
    older.version = "0.9"
    older.install(tmp_path / "second")
    said, _ = run(
        tmp_path / "first",
        f"""
        sys.path.append({str(tmp_path / "second")!r})
        said["versions"] = [one.version for one in plugins.list_plugins() if one.name == "probe"]
        said["title"] = plugins.load_plugin({PACKS}).title
        """,
    )
    assert said == {"versions": ["1.0"], "title": "Good"}


@pytest.mark.parametrize(
    "damage", [b"garbage", b"[fieldkit.packs]\nprobe", b"[fieldkit.packs]\n\xff\xfe = x:Y"]
)
def test_a_package_with_a_damaged_list_is_named_and_left_out(tmp_path: Path, damage: bytes) -> None:
    info = pack(GOOD).install(tmp_path)
    (info / "entry_points.txt").write_bytes(damage)
    said, stderr = run(
        tmp_path,
        """
        said["noise"] = plugins.load_plugin("fieldkit.packs", "noise").category
        said["refused"] = refusal("fieldkit.packs", "probe", ["probe"])
        """,
    )
    assert said["noise"] == "noise"
    assert "There is no packs plugin 'probe'" in said["refused"]
    assert stderr.count("The package probe-package has a damaged list of plugins") == (damage != b"garbage")


def test_a_half_removed_package_has_no_name_and_breaks_nothing(tmp_path: Path) -> None:
    info = pack(GOOD).install(tmp_path)
    (info / "METADATA").unlink()
    pack(GOOD, package="another-package").install(tmp_path)
    said, _ = run(
        tmp_path,
        """
        said["packages"] = [one.package for one in plugins.list_plugins() if one.name == "probe"]
        said["refused"] = refusal("fieldkit.packs", "probe", ["probe"])
        """,
    )
    assert len(said["packages"]) == 2
    assert "both offer" in said["refused"]


def test_a_name_is_only_a_name(tmp_path: Path) -> None:
    names = ["<script>alert(1)</script>", "{{7*7}}", "噪声 📢", "-rf", "a:b"]
    Package("probe-package", {"fieldkit.packs": dict.fromkeys(names, "probe:Good")}, {"probe": GOOD}).install(
        tmp_path
    )
    said, _ = run(
        tmp_path,
        f"""
        names = {names!r}
        said["listed"] = sorted(one.name for one in plugins.list_plugins() if one.package == "probe-package")
        said["loaded"] = [plugins.load_plugin("fieldkit.packs", name, [name]).title for name in names]
        """,
    )
    assert said["listed"] == sorted(names)
    assert said["loaded"] == ["Good"] * len(names)


def test_a_group_that_is_none_of_ours_is_not_listed(tmp_path: Path) -> None:
    Package("probe-package", {"fieldkit.spells": {"probe": "probe:Good"}}, {"probe": GOOD}).install(tmp_path)
    said, _ = run(
        tmp_path,
        """
        said["listed"] = [one.name for one in plugins.list_plugins() if one.name == "probe"]
        said["refused"] = refusal("fieldkit.spells", "probe", ["probe"])
        """,
    )
    assert said == {"listed": [], "refused": "There is no spells plugin 'probe'. Installed are: none."}


def test_an_unknown_name_is_refused_with_the_installed_ones() -> None:
    with pytest.raises(PluginError) as refused:
        plugins.load_plugin("fieldkit.packs", "smell")
    assert str(refused.value) == (
        "There is no packs plugin 'smell'. Installed are: air, noise, other, radiation, waste, water."
    )


def test_the_built_in_plugins_are_those_that_the_index_lists() -> None:
    listed = {(one.group, one.name) for one in plugins.list_plugins() if one.built_in}
    assert listed == {(group, name) for group, points in BUILT_IN.items() for name in points}
    assert all(one.allowed for one in plugins.list_plugins() if one.built_in)


@pytest.mark.parametrize(("group", "name"), [(group, name) for group in BUILT_IN for name in BUILT_IN[group]])
def test_every_built_in_plugin_follows_its_protocol_and_has_a_title(group: str, name: str) -> None:
    plugin = plugins.load_plugin(group, name)
    assert isinstance(plugin, plugins.GROUPS[group])
    assert plugin.title


def test_the_manuals_plugin_works_as_printed(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
    source, project = (page.split(f"```{kind}\n")[1].split("```")[0] for kind in ("python", "toml"))
    assert len(source.splitlines()) + len(project.splitlines()) < 40
    described = tomllib.loads(project)["project"]
    Package(described["name"], described["entry-points"], {"night_complaints": source}).install(tmp_path)
    said, _ = run(
        tmp_path,
        """
        import geopandas as gpd, pandas as pd
        times = ["2017-07-03 23:40", "2017-07-04 02:10", "2017-07-04 12:00", "2017-07-05 00:00"]
        columns = {"received_at": pd.to_datetime(times).tz_localize("Asia/Shanghai"), "district": ["Lizhou"] * 4,
                   "precision": ["second", "hour", "second", "day"]}
        frame = gpd.GeoDataFrame(columns, geometry=gpd.points_from_xy([105.8] * 4, [32.4] * 4), crs=4326)
        found = plugins.load_plugin("fieldkit.analyses", "nights", ["nights"]).run(frame)
        said["nights"] = found["complaints"].tolist()
        said["unlisted"] = refusal("fieldkit.analyses", "nights")
        """,
    )
    assert said["nights"] == [2]
    assert "not on this workspace's list" in said["unlisted"]
