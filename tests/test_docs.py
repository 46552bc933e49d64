"""The manual: one page a module, every plugin, command and setting named, and its Python runs."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from fieldkit import plugins, settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(path for path in DOCS.glob("*.md"))
README = ROOT / "README.md"
BUILT_IN = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]

#: Modules without a page of their own, and why.
NO_PAGE = {
    "analysis": "each analysis has a page of its own",
}

FENCE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def modules() -> list[str]:
    found = []
    for path in (ROOT / "fieldkit").iterdir():
        if path.name.startswith(("_", ".")) or path.name == "py.typed":
            continue
        if path.suffix == ".py" or (path / "__init__.py").is_file():
            found.append(path.stem)
    return sorted(found)


def manual() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def commands() -> list[str]:
    """Every command of the command line, those of groups with their group: ``records``, ``bundle out``."""
    from fieldkit.cli import cli  # heavy libraries stay out; the other tests need no click

    def walk(group: object, before: str) -> list[str]:
        named: list[str] = []
        for name in group.list_commands(None):  # type: ignore[attr-defined]
            command = group.get_command(None, name)  # type: ignore[attr-defined]
            named.append(f"{before} {name}")
            if hasattr(command, "list_commands"):
                named += walk(command, f"{before} {name}")
        return named

    return walk(cli, "fieldkit")


@pytest.mark.parametrize("module", [name for name in modules() if name not in NO_PAGE])
def test_every_module_has_a_page(module: str) -> None:
    page = DOCS / f"{module}.md"
    assert page.is_file(), f"write docs/{module}.md: what fieldkit.{module} is for and how to use it"
    assert page.read_text(encoding="utf-8").startswith(f"# {module}\n")


@pytest.mark.parametrize("analysis", sorted(BUILT_IN["fieldkit.analyses"]))
def test_every_analysis_has_a_page(analysis: str) -> None:
    assert (DOCS / f"{analysis}.md").is_file()


def test_exceptions_are_still_modules() -> None:
    assert set(NO_PAGE) <= set(modules())


def test_every_page_is_about_something_that_exists() -> None:
    nouns = {*modules(), *(name for names in BUILT_IN.values() for name in names), "index"}
    nouns |= {path.stem for path in (ROOT / "fieldkit").rglob("*.py")}
    nouns |= {path.stem for folder in ("notebooks", "dashboards") for path in (ROOT / folder).glob("*.ipynb")}
    assert {page.stem for page in PAGES} <= nouns


def test_every_plugin_group_and_every_built_in_plugin_is_in_the_manual() -> None:
    page = (DOCS / "plugins.md").read_text(encoding="utf-8")
    assert [group for group in plugins.GROUPS if f"`{group}`" not in page] == []
    for group, names in BUILT_IN.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{group}`"))
        assert sorted(re.findall(r"`([\w-]+)`", row.split("|")[3])) == sorted(names)


def test_every_command_is_in_the_manual() -> None:
    text = manual()
    assert commands()
    assert [command for command in commands() if not re.search(rf"{re.escape(command)}(?![\w-])", text)] == []


def test_every_command_has_help() -> None:
    from fieldkit.cli import cli

    for name in cli.list_commands(None):  # type: ignore[arg-type]
        command = cli.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert command.help, f"fieldkit {name} says nothing about itself"


def test_the_manual_and_the_readme_name_no_command_that_does_not_exist() -> None:
    known = {command.split()[1] for command in commands()}
    text = manual() + README.read_text(encoding="utf-8")
    in_code = re.findall(r"(?:`|^\$ |^)(?:uv run )?fieldkit ([a-z][a-z-]+)", text, re.MULTILINE)
    assert sorted(set(in_code) - known) == []


@pytest.mark.parametrize("key", [*settings.KEYS])
def test_every_setting_and_its_variable_is_in_the_manual(key: str) -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert f"| `{key}` | `FIELDKIT_{key.upper()}` |" in page


def test_the_manual_names_no_setting_that_does_not_exist() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| `FIELDKIT_", page, re.MULTILINE)) == set(settings.KEYS)


def test_every_error_is_in_the_manual() -> None:
    from fieldkit import errors

    page = (DOCS / "errors.md").read_text(encoding="utf-8")
    names = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == names


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[\w-]*)?\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}, which is not there"


@pytest.mark.parametrize("page", [*PAGES, README], ids=lambda page: page.name)
def test_the_python_on_the_page_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = page.read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for variable in (f"FIELDKIT_{key.upper()}" for key in (*settings.KEYS, "workspace")):
        monkeypatch.delenv(variable, raising=False)
    namespace = {"__name__": "page"}
    for fence in FENCE.finditer(text):
        # Blank lines before the code make a traceback point at the page's own line.
        padding = "\n" * text.count("\n", 0, fence.start(1))
        exec(compile(padding + fence[1], str(page), "exec"), namespace)  # noqa: S102 - our own manual


def test_the_manual_can_be_built_without_a_warning_and_asks_for_nothing_outside(tmp_path: Path) -> None:
    # In a process of its own: the warnings of Sphinx's dependencies are not ours to fail on.
    built, trees = tmp_path / "html", tmp_path / "trees"
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-W",
        "-q",
        "-b",
        "html",
        "-d",
        str(trees),
        str(DOCS),
        str(built),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    asks = re.compile(
        r"""<(?:script|img|link|iframe)[^>]+(?:src|href)="(?:https?:)?//|@import|url\(["']?(?:https?:)?//"""
    )
    pages = [path for path in built.rglob("*") if path.suffix in (".html", ".css")]
    assert len(pages) > len(PAGES)
    assert [path.name for path in pages if asks.search(path.read_text(encoding="utf-8"))] == []
