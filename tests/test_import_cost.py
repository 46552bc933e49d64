"""Nothing heavy loads at import: what ``import fieldkit`` and ``fieldkit --help`` may not bring with them.

What is loaded is counted, not timed; the time is measured in ``benchmarks/start.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap

import pytest

HEAVY = {
    "alembic",
    "anywidget",
    "folium",
    "geopandas",
    "h3",
    "IPython",
    "ipywidgets",
    "jinja2",
    "jsonschema",
    "jupyter_server",
    "matplotlib",
    "nbconvert",
    "nbformat",
    "numpy",
    "openpyxl",
    "pandas",
    "papermill",
    "pyarrow",
    "pyproj",
    "rapidfuzz",
    "requests",
    "scipy",
    "shapely",
    "sklearn",
    "sqlalchemy",
    "tqdm",
    "typst",
    "voila",
}

MODULE = "sys.argv = ['fieldkit', *{arguments}]; runpy.run_module('fieldkit', run_name='__main__')"


def loaded_by(program: str) -> set[str]:
    """The top-level packages in ``sys.modules`` when *program* has run in a Python of its own."""
    code = textwrap.dedent(
        """
        import atexit, json, runpy, sys
        atexit.register(lambda: sys.stderr.write("\\n" + json.dumps(sorted(sys.modules))))
        """
    )
    command = [sys.executable, "-W", "error", "-c", code + program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.mark.parametrize(
    "program",
    [
        "import fieldkit",
        "import fieldkit; fieldkit.__version__; dir(fieldkit)",
        "from fieldkit import errors, files, settings, places, vocabulary, complaints, plugins",
        "from fieldkit import plugins; plugins.list_plugins()",
        "from fieldkit import settings; settings.asset('notebooks')",
        "from fieldkit.packs import noise",
        "from fieldkit.cli import cli",
        MODULE.format(arguments=["--help"]),
        MODULE.format(arguments=["--version"]),
        MODULE.format(arguments=["init", "--help"]),
    ],
)
def test_nothing_heavy_is_loaded(program: str) -> None:
    assert loaded_by(program) & HEAVY == set()


def test_the_test_can_see_a_heavy_import() -> None:
    assert "numpy" in loaded_by("import numpy")


@pytest.mark.parametrize("name", sorted(HEAVY))
def test_the_heavy_libraries_are_called_so(name: str) -> None:
    # A misspelt name above would never be found loaded.
    assert __import__("importlib.util").util.find_spec(name) is not None
