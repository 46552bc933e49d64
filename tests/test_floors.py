"""The house: modules import downwards only, each heavy library has one home, names and sizes stay honest."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "fieldkit"

#: From the ground up. A module may import from lower floors only: not from its own, not from higher ones.
FLOORS = (
    ("errors", "files", "formulas", "jsonlines"),
    ("settings", "keys"),
    ("places", "vocabulary", "workdays", "fonts", "manifests"),
    ("complaints", "evidence"),
    ("events",),
    ("cases", "roles"),
    ("plugins",),
    ("procedures", "standards", "measurement"),
    ("intake", "ledger", "analysis", "maps"),
    ("packs",),
    ("workspace",),
    ("figures", "casework", "bundles", "backups", "exports"),
    ("records", "meetings", "disclosure"),
    ("dashboards",),
    ("demo",),
    ("testing",),
    ("__init__",),
    ("cli",),  # uses the public names, as everybody else does
    ("__main__",),
)
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}

#: Each heavy library has one home; nobody else imports it, not even inside a function.
HOMES = {
    "sqlalchemy": "ledger",
    "alembic": "ledger",
    "sqlcipher3": "ledger",
    "nacl": "keys",
    "papermill": "records",
    "typst": "records",
    "folium": "maps",
    "branca": "maps",
    "ipywidgets": "dashboards",
    "anywidget": "dashboards",
    "voila": "dashboards",
    "jupyter_server": "dashboards",
    "sklearn": "analysis",
    "esda": "analysis",
    "libpysal": "analysis",
    "click": "cli",
    "PIL": "evidence",
}

#: Names that say nothing about what is inside.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "core", "common", "base", "manager", "managers", "misc"}

LONGEST_FILE, LONGEST_FUNCTION = 600, 80


@dataclass(frozen=True)
class Imported:
    """One import statement: which file, which line, which dotted name."""

    file: Path
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.file.relative_to(PACKAGE.parent)}:{self.line} imports {self.name}"


def _module_files() -> list[Path]:
    # The wheel's copies of notebooks live under _assets; they are data.
    return sorted(path for path in PACKAGE.rglob("*.py") if "_assets" not in path.parts)


def _top(path: Path) -> str:
    """The noun a file belongs to: ``fieldkit/ledger/store.py`` -> ``ledger``."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def _package_of(path: Path) -> list[str]:
    return ["fieldkit", *path.relative_to(PACKAGE).parts[:-1]]


def imports_in(source: str, path: Path) -> Iterator[Imported]:
    """Every import in *source*, at the top, in a function, under TYPE_CHECKING, by name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Imported(path, node.lineno, alias.name)
        elif isinstance(node, ast.ImportFrom):
            package = _package_of(path)
            start = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield Imported(path, node.lineno, f"{module}.{alias.name}")
        elif isinstance(node, ast.Call) and node.args and _called(node) in ("import_module", "__import__"):
            name = node.args[0]
            if isinstance(name, ast.Constant) and isinstance(name.value, str):
                yield Imported(path, node.lineno, name.value)


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _own(name: str) -> str | None:
    """The noun of the kit that a dotted name leads to, or None for somebody else's."""
    parts = name.split(".")
    if parts[0] != "fieldkit" or name == "fieldkit.__version__":  # the version is the package's, on no floor
        return None
    return parts[1] if len(parts) > 1 and parts[1] in FLOOR_OF else "__init__"


def breaches(found: Imported) -> str | None:
    """What is wrong with an import, in one sentence, or None."""
    home, own = _top(found.file), _own(found.name)
    if own is None:
        library = found.name.split(".")[0]
        if HOMES.get(library, home) != home:
            return f"{found}; only fieldkit.{HOMES[library]} may"
        return None
    if own == home:
        return None
    if FLOOR_OF[own] >= FLOOR_OF[home]:
        return f"{found}, which is not on a lower floor than {home}"
    return None


def test_every_noun_has_a_floor() -> None:
    nouns = {_top(path) for path in _module_files()}
    assert nouns <= set(FLOOR_OF), f"give these a floor: {sorted(nouns - set(FLOOR_OF))}"


def test_imports_go_downwards_and_heavy_libraries_stay_home() -> None:
    found = [one for path in _module_files() for one in imports_in(path.read_text(encoding="utf-8"), path)]
    assert len(found) > 20
    assert [wrong for one in found if (wrong := breaches(one))] == []


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("errors.py", "from fieldkit import cases"),
        ("errors.py", "import fieldkit.cases"),
        ("errors.py", "from . import files"),
        ("places.py", "def f():\n    from fieldkit.vocabulary import label"),
        ("places.py", "if TYPE_CHECKING:\n    from fieldkit.complaints import Complaint"),
        ("intake/csv_file.py", "from ..ledger import store"),
        ("intake/csv_file.py", "importlib.import_module('fieldkit.casework')"),
        ("workspace.py", "import fieldkit"),
        ("workspace.py", "from fieldkit import open_workspace"),
        ("workspace.py", "from sqlalchemy import text"),
        ("analysis/hotspots.py", "def f():\n    import folium"),
    ],
)
def test_a_breach_is_found(file: str, source: str) -> None:
    assert any(breaches(one) for one in imports_in(source, PACKAGE / file))


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("casework/importing.py", "from fieldkit.ledger import Ledger\nfrom fieldkit import plugins"),
        (
            "ledger/store.py",
            "from . import tables\nfrom fieldkit.ledger.tables import events\nimport sqlalchemy as sa",
        ),
        ("cli/__init__.py", "def f():\n    from fieldkit import demo"),
        ("__main__.py", "from fieldkit.cli import cli"),
    ],
)
def test_a_downward_import_is_fine(file: str, source: str) -> None:
    assert not any(breaches(one) for one in imports_in(source, PACKAGE / file))


def test_no_module_has_an_empty_name() -> None:
    names = {
        part: path for path in _module_files() for part in path.relative_to(PACKAGE).with_suffix("").parts
    }
    assert not {str(names[name]) for name in EMPTY_NAMES & set(names)}


def test_files_are_short() -> None:
    lengths = {str(path): len(path.read_text(encoding="utf-8").splitlines()) for path in _module_files()}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_functions_are_short() -> None:
    long = [
        f"{path.relative_to(PACKAGE)}:{node.lineno} {node.name}: {node.end_lineno - node.lineno + 1} lines"
        for path in _module_files()
        if "migrations" not in path.parts  # a migration is one list of tables, written once
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]
    assert long == []


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path)
        for path in _module_files()
        if (tree := ast.parse(path.read_text(encoding="utf-8"))).body and not ast.get_docstring(tree)
    ]
    assert silent == []
