"""Run the notebook of one case in a fresh kernel and write its record: the part that happens in a worker process."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fieldkit.errors import NotebookFailed, RecordError
from fieldkit.files import write_bytes, write_text
from fieldkit.plugins import load_plugin
from fieldkit.records.document import read_document

#: A cell that takes longer than this many seconds is stopped and its case set aside.
CELL_SECONDS = 300

#: Where a failed notebook is kept, in the folder of its case.
FAILED_NAME = "failed.ipynb"

_ENGINE = "fieldkit-kept"


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker needs to write one record; plain values, so that any executor can carry it.

    *template* is the notebook's JSON text, *folder* the folder of the case, *meta* what the executed notebook will
    say of itself, *formats* names of plugins of ``fieldkit.records`` and *allowed* the workspace's list.
    """

    case: str
    number: str
    template: str
    folder: Path
    parameters: Mapping[str, Any]
    meta: Mapping[str, Any]
    formats: tuple[str, ...]
    language: str
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a job: the *files* by format with name and SHA-256, or *cell* (from 1) and *reason* of failure."""

    case: str
    seconds: float
    files: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cell: int | None = None
    reason: str = ""


def prepare_worker() -> None:
    """Make a fresh process ready for notebooks: leave Ctrl-C to the parent, spare papermill its slowest import."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    leave_out_uri_grammar()


def leave_out_uri_grammar() -> None:
    """Keep jsonschema from building a grammar for RFC 3987 addresses, which takes over a second of every process.

    JupyterLab brings the package ``rfc3987_syntax``; jsonschema builds its grammar on import to check the format
    ``iri``, which no notebook has. Only for processes of our own: the entry stays blocked.
    """
    if importlib.util.find_spec("rfc3987_syntax") is not None and "jsonschema" not in sys.modules:
        sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]


def declared_parameters(template: str) -> list[str]:
    """The names in the ``parameters`` cell of a notebook, given as its JSON text.

    Raises :class:`~fieldkit.errors.RecordError` when the text is JSON but no notebook.
    """
    import papermill

    try:
        return sorted(papermill.inspect_notebook(_node(template)))
    except Exception as error:  # nbformat's and papermill's, of many kinds
        raise RecordError(
            f"The notebook cannot be used: {_reason(error)}. Save it in JupyterLab and try again."
        ) from None


def write_record(job: Job) -> Written:
    """Run the job's notebook and write all its files, or set the partly run notebook aside; never raises."""
    started = time.perf_counter()
    notebook, failure, files = None, None, {}
    try:
        notebook, failure = _execute(job)
        if failure is None:
            files = _write_files(job, notebook)
    except Exception as error:  # one case must not stop the others
        failure = NotebookFailed(job.case, None, _reason(error))
    if failure is None:
        return Written(job.case, time.perf_counter() - started, files)
    if notebook is not None:
        with contextlib.suppress(OSError):
            _set_aside(job, notebook, failure)
    return Written(job.case, time.perf_counter() - started, cell=failure.cell, reason=failure.reason)


def _node(template: str) -> Any:
    import nbformat

    read: Any = nbformat.reads
    notebook = read(template, as_version=4)
    # A notebook that a program wrote may name no kernel; papermill then refuses it.
    if not notebook.metadata.get("kernelspec", {}).get("name"):
        notebook.metadata["kernelspec"] = {
            "name": "python3",
            "display_name": "Python 3",
            "language": "python",
        }
    return notebook


def _written(notebook: Any) -> str:
    import nbformat

    write: Any = nbformat.writes
    return str(write(notebook)) + "\n"


def _execute(job: Job) -> tuple[Any, NotebookFailed | None]:
    """The executed notebook, whole or as far as it came, and what stopped it."""
    import papermill

    kept = _keep_notebooks()
    with tempfile.TemporaryDirectory(prefix="fieldkit-case-") as empty:
        error: Exception | None = None
        try:
            papermill.execute_notebook(
                _node(job.template),
                None,
                parameters=dict(job.parameters),
                engine_name=_ENGINE,
                cwd=empty,
                progress_bar=False,
                log_output=False,
                request_save_on_cell_execute=False,
                execution_timeout=CELL_SECONDS,
                start_timeout=120,
                shutdown_kernel="immediate",
                # A kernel warns on the terminal that it listens on loopback without encryption.
                extra_arguments=["--IPKernelApp.log_level=ERROR"],
            )
        except Exception as raised:  # papermill's, nbclient's or the kernel's: it ends this case only
            error = raised
    notebook = kept.get("notebook")
    if notebook is None:
        raise error or NotebookFailed(job.case, None, "papermill ran nothing")
    _tidy(notebook, job)
    return notebook, _failure(job.case, notebook, error, kept.get("begun"))


def _keep_notebooks() -> dict[str, Any]:
    """Register papermill's own engine under our name so that the notebook is at hand when the kernel dies or hangs.

    On a timeout or a dead kernel papermill raises without giving the notebook back.
    """
    from papermill.engines import NBClientEngine, papermill_engines

    kept: dict[str, Any] = {}

    class KeepingEngine(NBClientEngine):  # type: ignore[misc]
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **options: Any) -> Any:
            kept["notebook"] = nb_man.nb
            begin = nb_man.cell_start

            def cell_start(cell: Any, cell_index: int | None = None, **more: Any) -> Any:
                kept["begun"] = cell_index
                return begin(cell, cell_index, **more)

            nb_man.cell_start = cell_start
            return super().execute_managed_notebook(nb_man, kernel_name, **options)

    papermill_engines.register(_ENGINE, KeepingEngine)
    return kept


def _failure(
    case: str, notebook: Mapping[str, Any], error: Exception | None, begun: int | None
) -> NotebookFailed | None:
    """Judge by the cells alone: papermill marks cells completed that hung, died or never ran.

    *begun* is the index of the last cell that was started, to blame when the kernel died or hung in it.
    """
    code = [
        (index, cell)
        for index, cell in enumerate(notebook["cells"], 1)
        if cell["cell_type"] == "code" and "".join(cell["source"]).strip()
    ]
    for index, cell in code:
        for output in cell["outputs"]:
            if output["output_type"] == "error":
                return NotebookFailed(case, index, f"{output['ename']}: {output['evalue']}")
    if error is not None:
        return NotebookFailed(case, None if begun is None else begun + 1, _reason(error))
    for index, cell in code:
        if not cell["execution_count"]:
            return NotebookFailed(case, index, "the cell was never run")
    return None


def _reason(error: BaseException) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0].strip()}" if lines else type(error).__name__


def _tidy(notebook: Any, job: Job) -> None:
    """Leave in the notebook what is true and the same on every run, and say what it was made from."""
    # Papermill puts cells of its own before a failing one, which would shift the count.
    markers = {"papermill-error-cell-tag"}
    notebook.cells = [cell for cell in notebook.cells if not markers & set(cell.metadata.get("tags", []))]
    for index, cell in enumerate(notebook.cells):
        for name in ("papermill", "execution"):
            cell.metadata.pop(name, None)
        cell["id"] = f"cell-{index}"
    notebook.metadata.pop("papermill", None)
    notebook.metadata["fieldkit"] = dict(job.meta)


def _write_files(job: Job, notebook: Any) -> dict[str, dict[str, str]]:
    document = read_document(notebook, language=job.language)
    stem = job.folder / job.case
    contents = {}
    for name in job.formats:
        plugin = load_plugin("fieldkit.records", name, job.allowed)
        contents[name] = (stem.with_suffix(plugin.suffix), plugin.render(document))
    contents["ipynb"] = (stem.with_suffix(".ipynb"), _written(notebook).encode())
    _put(job.folder, {path.name: data for path, data in contents.values()})
    (job.folder / FAILED_NAME).unlink(missing_ok=True)
    return {
        name: {"name": path.name, "sha256": hashlib.sha256(data).hexdigest()}
        for name, (path, data) in contents.items()
    }


def _put(folder: Path, contents: Mapping[str, bytes]) -> None:
    for name, data in contents.items():
        write_bytes(folder / name, data)


def _set_aside(job: Job, notebook: Any, failure: NotebookFailed) -> None:
    notebook.metadata["fieldkit"] |= {"failed": {"cell": failure.cell, "reason": failure.reason}}
    write_text(job.folder / FAILED_NAME, _written(notebook))


def digest_of_file(path: Path) -> str:
    """SHA-256 (hex) of a file, '' when it is not there."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def canonical_digest(*values: Any) -> str:
    """SHA-256 (hex) of plain values, whatever the order of their keys."""
    text = json.dumps(values, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
