"""Exports: every event as a line of JSON with the evidence beside it, for other programs, for a court, for another kit.

A whole export gives the same ledger again; the export of single cases can be checked by anybody, with nothing but the
folder and the office's public key.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from fieldkit import __version__
from fieldkit.errors import ExportError, LedgerError, ManifestError
from fieldkit.events import DEVICE_ENROLLED, EVIDENCE_ADDED, EVIDENCE_DERIVED, Event, event_of
from fieldkit.files import make_folder, private_folder, put_folder_in_place, replacing, sweep
from fieldkit.jsonlines import JsonRefused, line_of, lines_in
from fieldkit.keys import Keys
from fieldkit.ledger import Ledger, Problem
from fieldkit.ledger.chains import LooseChains
from fieldkit.ledger.heads import head_of, heads_text
from fieldkit.ledger.migration import SCHEMA
from fieldkit.ledger.sealed_rows import sealed_plain, sealed_rows
from fieldkit.manifests import (
    Manifest,
    Packing,
    check_files,
    note_of,
    read_manifest,
    wrong_files,
)
from fieldkit.workspace import Workspace

KIND = "export"
EVENTS, HEADS, VAULT, IMPORTED, README = (
    "events.jsonl",
    "heads.jsonl",
    "vault.jsonl",
    "imported.jsonl",
    "README.txt",
)

_NAME = re.compile(r"evidence/(?:[\w-]+/)*([0-9a-f]{64})(\.[\w.]*)?")
_SHA256 = re.compile(r'"([0-9a-f]{64})"')
_README = """\
这是环境投诉办理工具 fieldkit 的导出文件夹，任何文本工具可读。 An export of fieldkit, for any tool that reads text.
events.jsonl：每行一个事件，由 SHA-256 逐一相连。 Every event on a line of its own, each chained to the one before it.
heads.jsonl：各设备链尾及其签名；evidence：原始证据，以其 SHA-256 命名。 Signed ends of chains; evidence by its SHA-256.
manifest.json：全部文件的大小和 SHA-256；manifest.signature：其 Ed25519 签名。 The list of all files, and its signature.
核验 To check it: fieldkit verify FOLDER --key PUBLIC-KEY
"""


@dataclass(frozen=True, slots=True)
class ExportResult:
    """What was exported: to which *path*, how many events and pieces of evidence; *key* signed it.

    *flags* are sentences about evidence that the workspace does not hold any more. A file for maps has no events, but
    *complaints* and *cases*.
    """

    path: Path
    events: int
    evidence: int
    bytes: int
    key: str
    state_hash: str
    flags: tuple[str, ...] = ()
    complaints: int = 0
    cases: int = 0


@dataclass(frozen=True, slots=True)
class ImportedExport:
    """What came of taking an export in: events that were new, that were here already, and pieces of evidence added."""

    added: int
    known: int
    evidence: int
    state_hash: str


#: The suffixes by which :func:`export` knows that a file for other programs is wanted.
SUFFIXES = (".gpkg", ".parquet")


def export(
    ws: Workspace,
    target: str | Path,
    *,
    cases: Iterable[str] = (),
    as_of: date | datetime | None = None,
    progress: bool = False,
) -> ExportResult:
    """Write the ledger, or only *cases* (ids or numbers), to *target*: a folder, or a file by its suffix.

    A folder, new or empty, gets every event and the evidence (see :func:`export_folder`); ``.gpkg`` a GeoPackage for
    QGIS with the layers ``complaints`` and ``cases``, ``.parquet`` a GeoParquet of the complaints; both of these also
    *as_of* a moment or the end of a day. Raises :class:`~fieldkit.errors.ExportError` or
    :class:`~fieldkit.errors.MapError`; then nothing was written.
    """
    ws, path = ws.at(as_of), Path(target).expanduser().resolve()
    if path.suffix.lower() in SUFFIXES and not path.is_dir():
        return _export_frames(ws, path, list(cases))
    if path.suffix.lower() in _OTHER_FILES and not path.is_dir():
        raise ExportError(
            f"{path.name} cannot be written: an export is a folder, a .gpkg or a .parquet. Name one of these; "
            "`fieldkit analyse` writes tables and maps."
        )
    return export_folder(ws, path, cases=cases, progress=progress)


def _export_frames(ws: Workspace, path: Path, names: Sequence[str]) -> ExportResult:
    """Write complaints and cases as they stand, without who complained, for programs that draw maps."""
    import geopandas as gpd

    from fieldkit import maps

    complaints, cases = ws.complaints(), ws.cases()
    if names:
        chosen = [ws.ledger.find_case(name) for name in names]
        complaints = complaints[complaints["case"].isin(chosen)]
        cases = cases[cases["case"].isin(chosen)]
    if path.suffix.lower() == ".parquet":
        maps.write_map(complaints, path, title={"zh": "投诉", "en": "Complaints"})
    else:
        points = gpd.GeoSeries(gpd.points_from_xy(cases["lon"], cases["lat"]), index=cases.index)
        points[cases["lon"].isna()] = None
        placed = gpd.GeoDataFrame(cases, geometry=points, crs="EPSG:4326")
        maps.write_layers({"complaints": complaints, "cases": placed}, path)
    return ExportResult(path, 0, 0, path.stat().st_size, "", "", complaints=len(complaints), cases=len(cases))


def export_folder(
    ws: Workspace, folder: str | Path, *, cases: Iterable[str] = (), progress: bool = False
) -> ExportResult:
    """Write all of the ledger and its evidence, or only *cases* (ids or numbers), to the new or empty *folder*.

    A whole export holds who complained too, sealed as it is; the export of cases does not. Raises
    :class:`~fieldkit.errors.ExportError`; then nothing was written.
    """
    if ws.as_of is not None:
        raise ExportError(
            "A folder holds every event there is, with the signatures at the end of the chains, and none of an earlier "
            "moment. Ask for it as of now, or name a .gpkg or .parquet."
        )
    target = Path(folder).expanduser().resolve()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise ExportError(f"{target} is not empty, and nothing is written over. Name a new folder.")
    names = list(cases)
    try:
        make_folder(target.parent)
        for place in (target.parent, ws.settings.folder):
            sweep(place)
        with (
            _bar("Exporting", None, progress) as advance,
            private_folder(ws.settings.folder) as scratch,
            private_folder(target.parent) as unfinished,
        ):
            # Read from a copy of one moment, so that nobody waits for the export.
            ws.ledger.copy_to(scratch / "ledger.sqlite")
            with contextlib.closing(ws.ledger.beside(scratch / "ledger.sqlite")) as ledger:
                result = _packed(ws, ledger, unfinished, names, advance)
            put_folder_in_place(unfinished, target)
    except OSError as error:
        raise ExportError(f"{target} could not be written: {error.strerror or error}.") from error
    return ExportResult(target, *result)


def _packed(
    ws: Workspace, ledger: Ledger, unfinished: Path, names: Sequence[str], advance: Callable[[], object]
) -> tuple[Any, ...]:
    packing = Packing(unfinished)
    case_ids = list(dict.fromkeys(ledger.find_case(name) for name in names))
    events = _case_events(ledger, case_ids) if names else ledger.events()
    named: dict[str, None] = {}
    origins: set[str] = set()
    count = 0
    with packing.writing(EVENTS) as write:
        for event in events:
            write(line_of(event.plain()))
            origins.add(event.origin)
            named.update(dict.fromkeys(_SHA256.findall(event.payload)) if event.kind in _EVIDENCE else {})
            count += 1
            advance()
    heads = [head for head in ledger.heads() if head.origin in origins]
    packing.write(HEADS, heads_text(heads).encode())
    if not names:
        for name, tables in ((VAULT, _VAULT), (IMPORTED, ("imported",))):
            with packing.writing(name) as write:
                for table, row in ledger.sealed():
                    if table in tables:
                        write(line_of(sealed_plain(table, row)))
    packing.write(README, _README.encode())
    evidence, missing = _pack_evidence(ws, packing, named, advance, whole=not names)
    about = {
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "kit": __version__,
        "tables": SCHEMA,
        "origin": ws.settings.origin,
        "whole": not names,
        "cases": case_ids,
        "counts": {"events": count, "evidence": evidence},
        # Of a part there is none to come to again.
        "state_hash": "" if names else ledger.state_hash(),
        "data_version": ledger.data_version(),
    }
    manifest = packing.seal(KIND, about, Keys(ws.settings.keys))
    size = sum(note.size for note in manifest.files.values())
    flags = tuple(f"The evidence {sha256[:12]}… is missing in the workspace." for sha256 in missing)
    return count, evidence, size, manifest.key.hex(), about["state_hash"], flags


# What somebody who gives such a name expects is no folder.
_OTHER_FILES = {
    ".csv",
    ".geojson",
    ".html",
    ".json",
    ".jsonl",
    ".kml",
    ".pdf",
    ".shp",
    ".sqlite",
    ".xlsx",
    ".zip",
}
_EVIDENCE = (EVIDENCE_ADDED, EVIDENCE_DERIVED)
_VAULT = ("vault", "vault_batch", "person", "person_key", "complainant")


def _case_events(ledger: Ledger, case_ids: Iterable[str]) -> Iterator[Event]:
    """What was said of these cases and their complaints, and with which keys the devices sign, in the chains' order."""
    found: dict[tuple[str, int], Event] = {}
    for case_id in case_ids:
        found |= {(event.origin, event.sequence): event for event in ledger.case(case_id).history}
    origins = {origin for origin, _ in found}
    for event in ledger.events(kind=DEVICE_ENROLLED):
        if event.origin in origins:
            found[event.origin, event.sequence] = event
    yield from (found[key] for key in sorted(found))


def _pack_evidence(
    ws: Workspace, packing: Packing, named: Iterable[str], advance: Callable[[], object], *, whole: bool
) -> tuple[int, list[str]]:
    """Copy evidence, of a whole export all of it; returns how many pieces, and the hashes of those not there."""
    there: dict[str, Path] = {}
    for path in sorted(ws.settings.evidence.glob("*/*")):
        name = path.relative_to(ws.settings.folder).as_posix()
        if (found := _NAME.fullmatch(name)) and path.parent.name != "thumbnails" and path.is_file():
            there[found[1]] = path
    wanted = there if whole else {sha256: there[sha256] for sha256 in named if sha256 in there}
    for path in wanted.values():
        packing.copy(path, path.relative_to(ws.settings.folder).as_posix())
        advance()
    return len(wanted), [sha256 for sha256 in named if sha256 not in there]


def import_export(
    ws: Workspace, folder: str | Path, *, key: bytes | None = None, progress: bool = False
) -> ImportedExport:
    """Take a whole export into *ws*, empty or not, all or nothing; what is here already is not added again.

    *key* is the public key that must have signed it. Raises :class:`~fieldkit.errors.FieldkitError` naming the file
    or the event where anything is not as it was exported; then the workspace is as it was.
    """
    source = Path(folder).expanduser().resolve()
    manifest = read_manifest(source, KIND, key=key)
    if manifest.about.get("whole") is not True:
        raise ExportError(
            f"{source} is the export of single cases: it can be checked with `fieldkit verify`, not taken in. "
            "Take a whole export."
        )
    if missing := [name for name in (EVENTS, HEADS, VAULT, IMPORTED) if name not in manifest.files]:
        raise ExportError(f"{source} is not all of an export: {missing[0]} is not on its list.")
    try:
        with _bar("Taking in", None, progress) as advance:
            check_files(source, manifest)
            sealed = sealed_rows(_objects(source / name) for name in (VAULT, IMPORTED))
            heads = [_read(source / HEADS, line, head_of, value) for line, value in _objects(source / HEADS)]
            with _evidence_taken_in(ws, source, manifest) as evidence:
                absorbed = ws.ledger.absorb(
                    _events(source, advance),
                    heads,
                    sealed=sealed,
                    expected=str(manifest.about.get("state_hash")),
                )
    except OSError as error:
        raise ExportError(f"{source} could not be taken in: {error.strerror or error}.") from error
    return ImportedExport(absorbed.added, absorbed.known, len(evidence), ws.ledger.state_hash())


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, value in lines_in(path):
        if isinstance(value, JsonRefused):
            raise ExportError(f"{path.name}, line {number}: {value}. Use another copy.")
        yield number, value


def _read(path: Path, line: int, make: Callable[[Any], Any], value: Any) -> Any:
    try:
        return make(value)
    except LedgerError as error:
        raise ExportError(f"{path.name}, line {line}: {error}") from error


def _events(source: Path, advance: Callable[[], object]) -> Iterator[Event]:
    last: tuple[str, int] = ("", 0)
    for line, value in _objects(source / EVENTS):
        event: Event = _read(source / EVENTS, line, event_of, value)
        if (event.origin, event.sequence) <= last:
            raise ExportError(
                f"{EVENTS}, line {line}: event {event.sequence} of {event.origin} is out of order."
            )
        last = (event.origin, event.sequence)
        yield event
        advance()


@contextlib.contextmanager
def _evidence_taken_in(ws: Workspace, source: Path, manifest: Manifest) -> Iterator[list[Path]]:
    """Copy the evidence that *ws* does not hold; taken away again when the block raises.

    It is on disk before the events that name it are: a piece that no event names harms nobody.
    """
    added: list[Path] = []
    made: list[Path] = []
    try:
        for name, note in manifest.files.items():
            found = _NAME.fullmatch(name)
            if found is None:
                continue
            if found[1] != note.sha256:
                raise ExportError(f"{name} does not hold what its name says. Use another copy.")
            target = ws.settings.folder / name
            if target.exists():
                if note_of(target) != note:
                    raise ExportError(
                        f"{name} in the workspace is not what was taken in under this name. Put it back from a backup."
                    )
                continue
            made += [one for one in reversed(target.parents) if not one.exists()]
            with replacing(target) as temporary:
                shutil.copyfile(source / name, temporary)
                if note_of(temporary) != note:
                    raise ExportError(f"{name} was changed while it was being read. Try again.")
            added.append(target)
        yield added
    except BaseException:
        for path in added:
            path.unlink(missing_ok=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def verify_export(folder: str | Path, key: bytes | None = None, *, progress: bool = False) -> list[Problem]:
    """Check an export, whole or of single cases, with nothing but the folder and the public *key* that signed it.

    Returns what is wrong, each with the event or the name of the file; an empty list when nothing is. Without *key*
    it is only found whether the folder is what *somebody* signed.
    """
    source = Path(folder).expanduser().resolve()
    try:
        manifest = read_manifest(source, KIND, key=key)
    except ManifestError as error:
        return [Problem("", 0, str(error)), *_event_problems(source, whole=False)]
    with _bar("Checking", len(manifest.files), progress) as advance:
        found = [
            Problem("", 0, message) for _, message in wrong_files(source, manifest, lambda _name: advance())
        ]
        missing = [name for name in (EVENTS, HEADS) if name not in manifest.files]
        found += [Problem("", 0, f"{name} is not on the list.") for name in missing]
        for name, note in manifest.files.items():
            if (named := _NAME.fullmatch(name)) and named[1] != note.sha256:
                found.append(Problem("", 0, f"{name} does not hold what its name says."))
        return found + list(_event_problems(source, whole=manifest.about.get("whole") is True))


def _event_problems(source: Path, *, whole: bool) -> Iterator[Problem]:
    """What is wrong with the events and the ends of their chains."""
    chains = LooseChains(whole=whole)
    yield from _line_problems(source / EVENTS, lambda value: chains.follow(event_of(value)))
    yield from _line_problems(source / HEADS, lambda value: chains.end(head_of(value)))
    yield from chains.unsigned()


def _line_problems(path: Path, take: Callable[[dict[str, Any]], Iterator[Problem]]) -> Iterator[Problem]:
    try:
        for line, value in lines_in(path):
            try:
                if isinstance(value, JsonRefused):
                    yield Problem("", 0, f"{path.name}, line {line}: {value}.")
                else:
                    yield from take(value)
            except LedgerError as error:
                yield Problem("", 0, f"{path.name}, line {line}: {error}")
    except FileNotFoundError:
        return  # the list of files says so
    except OSError as error:
        yield Problem("", 0, f"{path.name} cannot be read: {error.strerror}.")


@contextlib.contextmanager
def _bar(title: str, total: int | None, progress: bool) -> Iterator[Callable[[], object]]:
    from tqdm.auto import tqdm

    with tqdm(total=total, desc=title, disable=None if progress else True) as bar:
        yield bar.update
