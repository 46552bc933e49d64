"""Take complaints in from a file, all or nothing: placed, flagged, what is refused kept to be mended."""

from __future__ import annotations

import contextlib
import filecmp
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from fieldkit import files
from fieldkit.complaints import Complaint, Entry, Flag
from fieldkit.errors import IntakeError, UnknownReferenceSystem
from fieldkit.ledger import Receipt, Receiving
from fieldkit.places import Areas, Place
from fieldkit.plugins import Reading, load_plugin
from fieldkit.workspace import Workspace

if TYPE_CHECKING:
    from fieldkit.intake.gazetteer import Gazetteer

#: How many rows a dry run looks at.
DRY_RUN_ROWS = 1_000
_CHUNK = 5_000
_PREVIEW = 20
_EXAMPLES_A_CODE = 3
# Files of refused rows of one name that wait to be mended; so many at the most.
_MOST_REFUSED = 100


@dataclass(slots=True, repr=False)
class ImportResult:
    """What an import did, or with *dry_run* would do with the first rows; counts are rows.

    *flags* counts every flag by its code and *examples* holds the first of each; *refused_path* is the file of refused
    rows, to be mended and imported again; *preview* holds the first complaints as they were understood.
    """

    path: Path
    reader: str
    dry_run: bool = False
    encoding: str = ""
    crs: str = ""
    mapping: Mapping[str, str] = field(default_factory=dict)
    unused: tuple[str, ...] = ()
    read: int = 0
    added: int = 0
    known: int = 0
    refused: int = 0
    located: int = 0
    needs_confirming: int = 0
    without_place: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    examples: list[Flag] = field(default_factory=list)
    refused_path: Path | None = None
    preview: list[Complaint] = field(default_factory=list)
    seconds: float = 0.0

    def __repr__(self) -> str:
        flags = ", ".join(f"{code} {rows:,}" for code, rows in self.flags.items())
        return (
            f"<{'Dry run' if self.dry_run else 'Import'} of {self.path.name!r}: {self.read:,} rows read, "
            f"{self.added:,} {'would be ' if self.dry_run else ''}added, {self.known:,} known, "
            f"{self.refused:,} refused, {self.without_place:,} without a place"
            f"{'; flags: ' + flags if flags else ''}>"
        )


class _DryRun(Exception):
    pass


def import_complaints(
    ws: Workspace,
    path: str | Path,
    *,
    reader: str = "csv",
    crs: str | None = None,
    mapping: Mapping[str, Any] | str | Path | None = None,
    source: str | None = None,
    sheet: str | None = None,
    dry_run: bool = False,
    progress: bool = False,
) -> ImportResult:
    """Import the complaints in *path* with the *reader* (group ``fieldkit.readers``), all or nothing.

    *crs* says the reference system of the coordinates where the file does not; *mapping* names columns (a mapping or
    a TOML file); *source* names whose numbering the file follows, by default the reader's. Rows that cannot be used
    are flagged and written to a file in the workspace's ``out``, whole: it may name who complained. The same file
    imported again adds nothing. Raises
    :class:`~fieldkit.errors.IntakeError` when the file cannot be read at all; then nothing was taken.
    """
    path = Path(path)
    started = time.perf_counter()
    plugin = load_plugin("fieldkit.readers", reader, ws.settings.plugins)
    options = {
        "time_zone": ws.settings.time_zone,
        "crs": crs or "ask",
        "default_crs": ws.settings.crs,
        "mapping": Path(mapping) if isinstance(mapping, str) else mapping,
        "source": source,
        "sheet": sheet,
    }
    reading: Reading = plugin.open(path, options)
    if reading.crs == "ask":
        raise UnknownReferenceSystem.of(path.name)
    if not dry_run:
        files.sweep(ws.settings.out)  # an import that was killed left whole rows there
    result = ImportResult(
        path, reader, dry_run, reading.encoding, reading.crs, reading.mapping, reading.unused
    )
    with _Spool() as spool, contextlib.ExitStack() as stack:
        try:
            with ws.ledger.receiving() as receiving:
                _receive(ws, iter(reading), reading.total, receiving, spool, result, progress)
                if dry_run:
                    raise _DryRun
                # Written before the complaints are on disk, so that no refused row is lost; put into its place
                # afterwards, for the file being imported may be the mended one of that name.
                written = _write_refused(ws, path, reading, spool, stack)
            if written is not None:
                result.refused_path = _put_in_place(written, ws.settings.out, path)
        except _DryRun:
            pass
    result.seconds = time.perf_counter() - started
    return result


def _write_refused(
    ws: Workspace, path: Path, reading: Reading, spool: _Spool, stack: contextlib.ExitStack
) -> Path | None:
    if not spool.count:
        return None
    files.make_folder(ws.settings.out)
    # Closed to everybody else: the rows may name who complained.
    folder = stack.enter_context(files.private_folder(ws.settings.out))
    return reading.write_refused(iter(spool), folder / f"refused-{_stem(path)}")


def _put_in_place(written: Path, folder: Path, imported: Path) -> Path:
    """Move the file of refused rows into *folder*, where another import's, being mended, is not written over."""
    for number in range(1, _MOST_REFUSED + 1):
        name = written.name if number == 1 else f"{written.stem}-{number}{written.suffix}"
        target = folder / name
        free = not target.is_symlink() and (
            not target.exists() or target.samefile(imported) or filecmp.cmp(written, target, shallow=False)
        )
        # On Windows a file that is open in a spreadsheet cannot be replaced.
        with contextlib.suppress(PermissionError):
            if free:
                return files.put_in_place(written, target, mode=0o600)
    raise IntakeError(
        f"The complaints were taken in, but their refused rows could not be put into {folder}, where more than "
        f"{_MOST_REFUSED} files of the same name wait. Mend or delete them, then import the file again."
    )


def _stem(path: Path) -> str:
    name = path.name.removesuffix(".gz")
    return name.removeprefix("refused-").rpartition(".")[0] or name


def receive_complaints(
    ws: Workspace, entries: Iterable[Entry], *, title: str, total: int | None = None, progress: bool = False
) -> ImportResult:
    """Take complaints in that were made or read elsewhere, all or nothing, as :func:`import_complaints` does.

    Refused entries are only counted: there is no file to mend.
    """
    started = time.perf_counter()
    result = ImportResult(Path(title), reader="")
    with _Spool() as spool, ws.ledger.receiving() as receiving:
        _receive(ws, iter(entries), total, receiving, spool, result, progress)
    result.seconds = time.perf_counter() - started
    return result


def _receive(
    ws: Workspace,
    entries: Iterator[Entry],
    total: int | None,
    receiving: Receiving,
    spool: _Spool,
    result: ImportResult,
    progress: bool,
) -> None:
    from tqdm.auto import tqdm

    from fieldkit.intake.gazetteer import Gazetteer

    areas = ws.areas()
    gazetteer = Gazetteer.read(ws.gazetteer_path) if ws.gazetteer_path.is_file() else None
    if result.dry_run:
        entries = islice(entries, DRY_RUN_ROWS)
    bar = tqdm(
        total=total, unit=" rows", desc=f"Importing {result.path.name}", disable=None if progress else True
    )
    with bar:
        while chunk := list(islice(entries, _CHUNK)):
            _receive_chunk(chunk, areas, gazetteer, receiving, spool, result)
            bar.update(len(chunk))


def _receive_chunk(
    chunk: Sequence[Entry],
    areas: Areas | None,
    gazetteer: Gazetteer | None,
    receiving: Receiving,
    spool: _Spool,
    result: ImportResult,
) -> None:
    taken: list[tuple[Entry, Receipt]] = []
    for entry in chunk:
        result.read += 1
        _note(result, entry.flags)
        if entry.complaint is None:
            spool.add(entry)
            continue
        kept, flags = _located(entry, gazetteer)
        _note(result, flags)
        taken.append((entry, Receipt(entry.complaint, kept, entry.person)))
    taken = list(zip((e for e, _ in taken), _with_districts([r for _, r in taken], areas), strict=True))
    for (entry, receipt), outcome in zip(taken, receiving.add([r for _, r in taken]), strict=True):
        if outcome.state == "added":
            result.added += 1
            _note_place(result, receipt.complaint.place)
        elif outcome.state == "known":
            result.known += 1
        else:
            flag = Flag(
                "changed",
                "number",
                receipt.read.number,
                entry.row,
                f"Complaint {receipt.read.number} is in the ledger already, with other content; nothing was changed. "
                "If it comes from another office, name that as the source.",
            )
            _note(result, (flag,))
            spool.add(replace(entry, flags=(*entry.flags, flag)))
        if len(result.preview) < _PREVIEW:
            result.preview.append(receipt.complaint)
    result.refused = spool.count


def _located(entry: Entry, gazetteer: Gazetteer | None) -> tuple[Complaint, tuple[Flag, ...]]:
    complaint = entry.complaint
    assert complaint is not None
    if complaint.place is not None:
        return complaint, ()
    words = complaint.address or complaint.community or complaint.text
    match = gazetteer.locate(words, complaint.district) if gazetteer is not None and words else None
    if match is None:
        message = "The row has no coordinates and its address is not in the gazetteer; kept without a place."
        return complaint, (Flag("no_place", "address", complaint.address, entry.row, message),)
    located = replace(
        complaint,
        place=match.place,
        district=complaint.district or match.district,
        community=complaint.community or match.community,
    )
    if not match.place.needs_confirming:
        return located, ()
    message = f"Placed at {match.name} by its address (score {match.score:.0f} of 100); needs confirming."
    return located, (Flag("place_needs_confirming", "address", complaint.address, entry.row, message),)


def _with_districts(receipts: Sequence[Receipt], areas: Areas | None) -> Iterator[Receipt]:
    open_places = [
        r.complaint.place for r in receipts if r.complaint.place is not None and not r.complaint.district
    ]
    if areas is None or not open_places:
        yield from receipts
        return
    names = iter(areas.names_at([p.lon for p in open_places], [p.lat for p in open_places]))
    for receipt in receipts:
        if receipt.complaint.place is None or receipt.complaint.district:
            yield receipt
        else:
            yield replace(receipt, complaint=replace(receipt.complaint, district=next(names) or ""))


def _note(result: ImportResult, flags: Iterable[Flag]) -> None:
    for flag in flags:
        result.flags[flag.code] += 1
        if result.flags[flag.code] <= _EXAMPLES_A_CODE:
            result.examples.append(flag)


def _note_place(result: ImportResult, place: Place | None) -> None:
    if place is None:
        result.without_place += 1
    elif place.method == "gazetteer":
        result.located += 1
        result.needs_confirming += place.needs_confirming


class _Spool:
    """Refused rows on disk, so that memory does not grow with their number."""

    def __enter__(self) -> _Spool:
        self.count = 0
        self._file: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8", errors="surrogatepass")
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def add(self, entry: Entry) -> None:
        """Keep a refused row with the reasons."""
        flags = [[f.code, f.field, f.value, f.row, f.message] for f in entry.flags]
        # A cell of a spreadsheet may be a date; as text it can be mended and read again.
        self._file.write(json.dumps([entry.row, dict(entry.raw), flags], default=str) + "\n")
        self.count += 1

    def __iter__(self) -> Iterator[Entry]:
        self._file.seek(0)
        for line in self._file:
            row, raw, flags = json.loads(line)
            yield Entry(row, None, None, tuple(Flag(*flag) for flag in flags), raw)
