"""Write the records of many cases: only what changed, several at a time, none stopping the others."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import metadata
from pathlib import Path
from threading import Event, current_thread, main_thread
from typing import TYPE_CHECKING, Any

from fieldkit.casework import note_record
from fieldkit.errors import PluginError, RecordError
from fieldkit.files import sweep
from fieldkit.plugins import OWN_DISTRIBUTION, list_plugins, load_plugin
from fieldkit.records import running
from fieldkit.records.investigation import Investigation, investigation
from fieldkit.records.parts import both
from fieldkit.records.running import Job, Written
from fieldkit.settings import asset
from fieldkit.workspace import read_moment

if TYPE_CHECKING:
    from fieldkit.workspace import Workspace

#: The notebook that investigates a case whose pack has none of its own.
NOTEBOOK = "notebooks/investigation.ipynb"

# Windows waits for no more than 61 processes at once.
_MOST_WORKERS = 61
_CASE_ID = re.compile(r"[A-Z0-9-]{1,32}")
_TITLE = both("环境投诉案件调查记录", "Investigation record of a complaint case")
_LOST = "the worker process died (killed, or out of memory)"


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """What became of one case: *state* is ``written``, ``unchanged`` or ``failed``.

    *seconds* is the time its notebook and documents took, *paths* the files by format (the executed notebook is
    ``ipynb``), *cell* (counted from 1, None when no cell is to blame) and *reason* say why it failed.
    """

    case: str
    number: str
    state: str
    seconds: float = 0.0
    paths: Mapping[str, Path] = field(default_factory=dict)
    cell: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class RecordsResult:
    """The outcome of every case, in the order asked for; the *folder* of records; the *seconds* all took together."""

    outcomes: tuple[RecordOutcome, ...]
    folder: Path
    seconds: float

    def __repr__(self) -> str:
        failed = ", ".join(outcome.number for outcome in self.failed[:10])
        return (
            f"<Records in {str(self.folder)!r}: {len(self.written)} written, {len(self.unchanged)} unchanged, "
            f"{len(self.failed)} failed{': ' + failed if failed else ''}>"
        )

    def _with(self, state: str) -> tuple[RecordOutcome, ...]:
        return tuple(outcome for outcome in self.outcomes if outcome.state == state)

    @property
    def written(self) -> tuple[RecordOutcome, ...]:
        """Those whose record was made anew."""
        return self._with("written")

    @property
    def unchanged(self) -> tuple[RecordOutcome, ...]:
        """Those whose record is on disk and would come out the same."""
        return self._with("unchanged")

    @property
    def failed(self) -> tuple[RecordOutcome, ...]:
        """Those set aside, with cell and reason."""
        return self._with("failed")


def run_records(
    ws: Workspace,
    cases: Iterable[str] | None = None,
    formats: Sequence[str] = ("html", "pdf"),
    *,
    jobs: int | None = None,
    notebook: str | Path | None = None,
    parameters: Mapping[str, Any] | None = None,
    force: bool = False,
    progress: bool = True,
) -> RecordsResult:
    """Write the records of *cases* (ids or numbers; None for all) to the workspace's folder of records.

    Each case's notebook (its category's own, else ``investigation.ipynb``, else *notebook*) runs in a fresh kernel
    and is rendered to *formats*, names of plugins of the group ``fieldkit.records``; the executed notebook is always
    kept. *jobs* is the number of processes, by default one a core. *parameters* go to the notebook, which must
    declare them. A record whose inputs have not changed and whose files are as they were is left alone unless
    *force*. A case that fails is set aside as ``failed.ipynb`` in its folder, and the others go on.

    Ctrl-C lets the running cases end, starts no more and is passed on; the next run does the rest. Because processes
    start afresh, a script must call this below ``if __name__ == "__main__":``. Raises :class:`RecordError`,
    :class:`~fieldkit.errors.UnknownCase` or :class:`~fieldkit.errors.PluginError` before anything is run.
    """
    started = time.perf_counter()
    ws.ledger.check_writable()
    chosen = _checked_formats(ws, formats)
    known = ws.records()
    outcomes: dict[str, RecordOutcome] = {}
    todo: list[Job] = []
    chosen_cases = _chosen_cases(ws, cases)
    asked = dict(parameters or {})
    # Opened once for all cases.
    then = ws.at(read_moment(str(asked["as_of"])) if asked.get("as_of") else None)
    for case_id in chosen_cases:
        job = _job(then, case_id, chosen, notebook, asked)
        sweep(job.folder)  # what a killed run left
        if not force and _is_current(job, known.get(case_id)):
            paths = _paths(job, known[case_id])
            outcomes[case_id] = RecordOutcome(case_id, job.number, "unchanged", paths=paths)
        else:
            todo.append(job)
    if then is not ws:
        then.ledger.close()
    if todo:
        _run(ws, todo, outcomes, jobs, progress)
    ordered = tuple(outcomes[case_id] for case_id in chosen_cases)
    return RecordsResult(ordered, ws.settings.records, time.perf_counter() - started)


def _checked_formats(ws: Workspace, formats: Sequence[str]) -> tuple[str, ...]:
    chosen = tuple(dict.fromkeys(formats))
    for name in chosen:
        load_plugin("fieldkit.records", name, ws.settings.plugins)
    return chosen


def _chosen_cases(ws: Workspace, cases: Iterable[str] | None) -> list[str]:
    if cases is None:
        return [str(case) for case in ws.cases()["case"]]
    if isinstance(cases, str):
        cases = [cases]
    return list(dict.fromkeys(ws.ledger.find_case(str(name)) for name in cases))


def case_folder(ws: Workspace, case_id: str) -> Path:
    """The folder of a case's records; raises :class:`RecordError` when the id or a link leads out of the workspace."""
    if not _CASE_ID.fullmatch(case_id):
        raise RecordError(f"{case_id!r} cannot name a folder. A case's id is 1 to 32 of A-Z, 0-9 and '-'.")
    root = ws.settings.records
    folder = root / case_id
    if folder.resolve().parent != root.resolve() or root.resolve().parent != ws.settings.folder.resolve():
        raise RecordError(f"{folder} leads out of the workspace. Remove the link that stands there.")
    return folder


def _job(
    ws: Workspace, case_id: str, formats: tuple[str, ...], notebook: str | Path | None, asked: dict[str, Any]
) -> Job:
    found = investigation(ws, case_id)
    name, template = _template(Path(notebook) if notebook else _notebook_for(ws, found.case.category))
    radius = asked.get("radius_m", found.radius_m)
    if radius != found.radius_m:
        found = investigation(ws, case_id, radius_m=radius)
    language = str(asked.get("language", ws.settings.language))
    parameters = {"case_id": case_id, "workspace": str(ws.settings.folder), "language": language} | asked
    stable = {key: value for key, value in parameters.items() if key != "workspace"}
    inputs = [template, stable, found.fingerprint(), _code_version(), _own_templates(), sorted(formats)]
    try:
        digest = running.canonical_digest(inputs)
    except (TypeError, ValueError) as error:
        raise RecordError(
            f"The parameters {asked} are not plain JSON values: {error}. Give text, numbers, lists."
        ) from error
    meta = _meta(ws, found, parameters, name, digest)
    folder = case_folder(ws, case_id)
    return Job(
        case_id, found.case.number, template, folder, parameters, meta, formats, language, ws.settings.plugins
    )


def _meta(
    ws: Workspace, found: Investigation, parameters: Mapping[str, Any], template: str, input_hash: str
) -> dict[str, Any]:
    received = [c.complaint.received_at for c in (*found.case.complaints, found.case.founding)]
    return {
        "case": found.case.id,
        "number": found.case.number,
        "title": _TITLE,
        "office": ws.settings.title,
        "parameters": dict(parameters),
        "template": template,
        "data_version": ws.data_version(),
        "code_version": _code_version(),
        "input_hash": input_hash,
        "as_of": max(received).isoformat(),
    }


@cache
def _code_version() -> str:
    return metadata.version(OWN_DISTRIBUTION)


@cache
def _own_templates() -> str:
    here = Path(__file__).parent
    names = ("record.html.jinja", "record.css", "record.typ")
    return running.canonical_digest([(here / name).read_text(encoding="utf-8") for name in names])


def _template(path: Path) -> tuple[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
        json.loads(text)
    except (OSError, ValueError) as error:
        raise RecordError(
            f"The notebook {path} cannot be read: {error}. Give the path of an .ipynb file."
        ) from error
    return path.name, text


def _notebook_for(ws: Workspace, category: str | None) -> Path:
    own = _pack_notebooks(ws.settings.plugins).get(category or "")
    if own is None:
        return asset(NOTEBOOK)
    return Path(own) if Path(own).is_absolute() else asset(own)


@cache
def _pack_notebooks(allowed: tuple[str, ...]) -> dict[str, str]:
    """The notebooks of the packs that have one of their own, by main category."""
    found: dict[str, str] = {}
    for plugin in list_plugins(allowed):
        if plugin.group != "fieldkit.packs" or not plugin.allowed:
            continue
        try:
            pack = load_plugin("fieldkit.packs", plugin.name, allowed)
        except PluginError:
            continue  # a broken pack is named by `fieldkit plugins`; its cases get the common notebook
        if pack.notebook:
            found.setdefault(pack.category, pack.notebook)
    return found


def _is_current(job: Job, manifest: Mapping[str, Any] | None) -> bool:
    if manifest is None or manifest.get("input_hash") != job.meta["input_hash"]:
        return False
    paths, digests = _paths(job, manifest), manifest.get("digests", {})
    return bool(paths) and all(
        running.digest_of_file(path) == digests.get(name) for name, path in paths.items()
    )


def _paths(job: Job, manifest: Mapping[str, Any]) -> dict[str, Path]:
    """The files that a manifest names. Only their names count: the folder is the case's, whatever was written."""
    return {name: job.folder / Path(path).name for name, path in manifest.get("files", {}).items()}


def _run(
    ws: Workspace, todo: list[Job], outcomes: dict[str, RecordOutcome], jobs: int | None, progress: bool
) -> None:
    from tqdm.auto import tqdm

    workers = max(1, min(jobs or os.cpu_count() or 1, len(todo), _MOST_WORKERS))
    bar = tqdm(total=len(todo), unit="record", desc="Records", disable=None if progress else True)

    def say_stopping() -> None:
        bar.set_description("Stopping after the running ones (Ctrl-C again: at once)")

    with bar, _stoppable(say_stopping) as stop:
        for job, written in _completed(todo, workers, stop):
            outcomes[job.case] = _outcome(job, written)
            if not written.reason:
                _note(ws, job, written)
            bar.update()
    if stop.is_set():
        raise KeyboardInterrupt


def _note(ws: Workspace, job: Job, written: Written) -> None:
    manifest = {name: job.meta[name] for name in ("input_hash", "data_version", "code_version", "template")}
    files = {name: (job.folder / file["name"]) for name, file in written.files.items()}
    inside = {name: path.relative_to(ws.settings.folder).as_posix() for name, path in files.items()}
    digests = {name: file["sha256"] for name, file in written.files.items()}
    note_record(ws, job.case, manifest | {"files": inside, "digests": digests})


def _outcome(job: Job, written: Written) -> RecordOutcome:
    if written.reason:
        return RecordOutcome(
            job.case, job.number, "failed", written.seconds, cell=written.cell, reason=written.reason
        )
    paths = {name: job.folder / file["name"] for name, file in written.files.items()}
    return RecordOutcome(job.case, job.number, "written", written.seconds, paths)


@contextmanager
def _stoppable(say: Callable[[], None]) -> Iterator[Event]:
    """Give an event that the first Ctrl-C sets, with *say* called; a second one interrupts at once. Elsewhere than in
    the main thread signals cannot be caught, and nothing is changed."""
    stop = Event()
    if current_thread() is not main_thread():
        yield stop
        return
    before = signal.getsignal(signal.SIGINT)

    def note(*_: object) -> None:
        stop.set()
        signal.signal(signal.SIGINT, before)
        say()

    signal.signal(signal.SIGINT, note)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _completed(todo: list[Job], workers: int, stop: Event) -> Iterator[tuple[Job, Written]]:
    """Run the jobs in *workers* processes and give each as it ends; of a stopped run only those that had begun."""
    left = {job.case: job for job in todo}
    try:
        with _pool(workers) as pool:
            ready = _with_declared_parameters(pool, todo)
            left = {job.case: job for job in ready}
            for job, written in _as_completed(pool, ready, stop):
                del left[job.case]
                yield job, written
    except BrokenProcessPool:
        # Which case killed its worker is not known; alone in a process each, only the guilty one fails.
        for job in list(left.values()):
            if stop.is_set():
                return
            yield job, _run_alone(job)


@contextmanager
def _pool(workers: int) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=running.prepare_worker)
    try:
        yield pool
    except KeyboardInterrupt:
        for process in list(multiprocessing.active_children()):
            if process in (getattr(pool, "_processes", None) or {}).values():
                process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _with_declared_parameters(pool: ProcessPoolExecutor, todo: list[Job]) -> list[Job]:
    """Leave of each job's parameters those that its notebook declares; raises when an asked-for one is not."""
    declared: dict[str, list[str]] = {}
    ready = []
    for job in todo:
        if job.template not in declared:
            try:
                declared[job.template] = pool.submit(running.declared_parameters, job.template).result()
            except BrokenProcessPool as error:
                raise RecordError(
                    "The processes that run notebooks cannot start. In a script, call run_records below "
                    'the line `if __name__ == "__main__":`.'
                ) from error
        names = declared[job.template]
        unknown = sorted({"case_id", *job.parameters} - set(names) - {"workspace", "language"})
        if unknown:
            raise RecordError(
                f"The notebook {job.meta['template']} declares no parameter {unknown[0]!r}. "
                f"It declares: {', '.join(names) or 'none'}. Add it to the cell tagged 'parameters'."
            )
        given = {name: value for name, value in job.parameters.items() if name in names}
        ready.append(replace(job, parameters=given, meta={**job.meta, "parameters": given}))
    return ready


def _as_completed(pool: ProcessPoolExecutor, jobs: list[Job], stop: Event) -> Iterator[tuple[Job, Written]]:
    futures: dict[Future[Written], Job] = {pool.submit(running.write_record, job): job for job in jobs}
    pending = set(futures)
    while pending:
        # The pause lets a Ctrl-C be noticed while nothing ends.
        done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
        if stop.is_set():
            pending = {future for future in pending if not future.cancel()}
        for future in done:
            if not future.cancelled():
                yield futures[future], future.result()


def _run_alone(job: Job) -> Written:
    try:
        with _pool(1) as pool:
            return pool.submit(running.write_record, job).result()
    except BrokenProcessPool:
        return Written(job.case, 0.0, reason=_LOST)
