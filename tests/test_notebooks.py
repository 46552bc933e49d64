"""Notebooks and dashboards are thin: parameters, imports of the kit, one call a cell, prose, no outputs."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest

from fieldkit.records.parts import MIME
from fieldkit.workspace import Workspace

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted([*(ROOT / "notebooks").glob("**/*.ipynb"), *(ROOT / "dashboards").glob("**/*.ipynb")])
NOTEBOOKS = [path for path in NOTEBOOKS if ".ipynb_checkpoints" not in path.parts]

#: What a thin cell may be made of: one statement that names, calls or shows.
STATEMENTS = (ast.Import, ast.ImportFrom, ast.Assign, ast.AnnAssign, ast.Expr)
FORBIDDEN = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.For, ast.While, ast.With, ast.Try,
             ast.ListComp, ast.DictComp, ast.SetComp, ast.GeneratorExp, ast.Delete)  # fmt: skip


def read(path: Path) -> dict[str, Any]:
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return notebook


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def code_cells(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def is_parameters(cell: dict[str, Any]) -> bool:
    return "parameters" in cell["metadata"].get("tags", [])


def faults(code: str) -> list[str]:
    """What is not thin about the code of a cell that is not the parameters."""
    if code.lstrip().startswith(("%", "!")):
        return ["a magic or shell command"]
    tree = ast.parse(code)
    found = [type(node).__name__ for node in ast.walk(tree) if isinstance(node, FORBIDDEN)]
    found += [type(node).__name__ for node in tree.body if not isinstance(node, STATEMENTS)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [f"import {a.name}" for a in node.names if a.name.split(".")[0] != "fieldkit"]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] != "fieldkit":
            found.append(f"from {node.module} import")
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.strip().upper().startswith(("SELECT ", "INSERT ", "UPDATE ", "DELETE ")):
                found.append("SQL")
        elif isinstance(node, ast.Attribute) and node.attr in ("path", "environ", "system"):
            found.append(f".{node.attr}")
    statements = [node for node in tree.body if not isinstance(node, ast.Import | ast.ImportFrom)]
    calls = sum(isinstance(node, ast.Call) for statement in statements for node in ast.walk(statement))
    if len(statements) > 1 or calls > 1:
        found.append(f"{len(statements)} statements with {calls} calls")
    return found


def test_there_is_something_to_hold() -> None:
    assert ROOT / "notebooks" / "investigation.ipynb" in NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestThin:
    def test_it_is_a_valid_notebook_for_the_python3_kernel(self, path: Path) -> None:
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        assert notebook.metadata["kernelspec"]["name"] == "python3"

    def test_it_has_no_outputs(self, path: Path) -> None:
        notebook = read(path)
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code_cells(notebook))
        assert "widgets" not in notebook["metadata"]
        assert "papermill" not in notebook["metadata"]

    def test_its_one_parameters_cell_only_names_values(self, path: Path) -> None:
        marked = [cell for cell in code_cells(read(path)) if is_parameters(cell)]
        assert len(marked) == 1
        for statement in ast.parse(source(marked[0])).body:
            assert isinstance(statement, ast.Assign | ast.AnnAssign)
            assert statement.value is not None
            ast.literal_eval(statement.value)

    def test_each_cell_makes_one_call_of_the_kit(self, path: Path) -> None:
        wrong = {
            source(cell): faults(source(cell)) for cell in code_cells(read(path)) if not is_parameters(cell)
        }
        assert {code: found for code, found in wrong.items() if found} == {}

    def test_it_tells_the_reader_what_to_look_for(self, path: Path) -> None:
        prose = "".join(source(cell) for cell in read(path)["cells"] if cell["cell_type"] == "markdown")
        assert len(prose) > 60


@pytest.mark.parametrize(
    "code",
    [
        "import pandas as pd",
        "from sqlalchemy import text",
        "def f(): pass",
        "class A: pass",
        "rows = [f(x) for x in y]",
        "import sys; sys.path.append('..')",
        "ws.query('SELECT * FROM complaint')",
        "%matplotlib inline",
        "!ls",
        "a = f()\nb = g()",
        "f(g())",
        "for x in y: f(x)",
    ],
)
def test_a_thick_cell_is_found(code: str) -> None:
    assert faults(code)


def papermill(notebook: Path, out: Path, *arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "papermill", str(notebook), str(out), "--no-progress-bar", *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=out.parent, env=dict(os.environ)
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return read(out)


def test_papermills_own_command_runs_the_investigation(sample: Workspace, tmp_path: Path) -> None:
    notebook = ROOT / "notebooks" / "investigation.ipynb"
    folder = str(sample.settings.folder)
    done = papermill(notebook, tmp_path / "out.ipynb", "-p", "case_id", "S-002", "-p", "workspace", folder)
    outputs = [output for cell in code_cells(done) for output in cell["outputs"]]
    shown = [output["data"][MIME]["kind"] for output in outputs if MIME in output.get("data", {})]
    assert shown == ["facts", "paragraphs", "picture", "table", "exhibits", "picture", "gaps"]
    assert not [output for output in outputs if output["output_type"] == "error"]
    assert "S-002" in json.dumps(outputs)
