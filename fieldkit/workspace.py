"""A workspace as its user holds it: the settings, the ledger, and what can be asked of them in one call."""

from __future__ import annotations

import getpass
import os
from collections import Counter
from collections.abc import Iterable
from contextlib import closing, suppress
from datetime import date, datetime, time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fieldkit.cases import Case
from fieldkit.complaints import time_text
from fieldkit.errors import AnalysisError, SettingsError
from fieldkit.evidence import Evidence, EvidenceFolder, Exhibit, evidence_of
from fieldkit.files import make_folder, private_folder, write_text
from fieldkit.keys import Keys, RecoveryKey
from fieldkit.ledger import Head, Ledger, Problem
from fieldkit.ledger.heads import heads_text, read_heads
from fieldkit.ledger.store import check_address
from fieldkit.places import Areas
from fieldkit.plugins import list_plugins, load_plugin
from fieldkit.settings import Settings, find_workspace, planned_ledger, read_settings, write_settings

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

#: The most complaints that a map draws one by one.
MOST_POINTS = 50_000

_GAZETTEER_HEADER = "name,alias,kind,district,community,lon,lat,accuracy_m\n"


class Workspace:
    """An office's folder with its ledger, layers, maps and records; what it gives out names no complainant.

    Opened *as_of* a moment, or the end of a day, it shows what the ledger had been told until then, and writes nothing.
    """

    def __init__(self, settings: Settings, *, as_of: date | datetime | None = None) -> None:
        self.settings = settings
        self.as_of = self._moment(as_of)

    def __repr__(self) -> str:
        at = "" if self.as_of is None else f", as_of={self.as_of.isoformat()!r}"
        return f"Workspace({str(self.settings.folder)!r}{at})"

    def at(self, as_of: date | datetime | None) -> Workspace:
        """This workspace as of a moment, or the end of a day; itself where *as_of* is None."""
        return self if as_of is None else Workspace(self.settings, as_of=as_of)

    @property
    def present(self) -> Workspace:
        """This workspace as of now; itself where it was not opened as of a moment."""
        return self if self.as_of is None else Workspace(self.settings)

    @property
    def as_of_text(self) -> str:
        """The moment that the workspace was opened as of in the office's zone, a day alone where its end is meant."""
        if self.as_of is None:
            return ""
        moment = self.as_of.astimezone(self.settings.zone)
        return time_text(moment, "day" if moment.time() == time.max else "second")

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, opened when first used."""
        return Ledger(
            self.settings.ledger,
            origin=self.settings.origin,
            actor=self.actor,
            keys=self.keys,
            lock=self.keys.store,
            as_of=self.as_of,
        )

    @cached_property
    def keys(self) -> Keys:
        """The keys of this device."""
        return Keys(self.settings.keys)

    @property
    def actor(self) -> str:
        """Who is written down as having done a deed."""
        if self.settings.actor:
            return self.settings.actor
        try:
            return getpass.getuser()
        # An account without a name, as in some containers; on Windows Python then looks for a module of Unix.
        except (KeyError, OSError, ImportError):
            return ""

    def encrypt(self, passphrase: str, recovery: RecoveryKey) -> None:
        """Encrypt the ledger, to be opened with *passphrase*; *recovery* opens it and the vault from now on.

        Write the recovery key down before. Raises :class:`~fieldkit.errors.LedgerError` where the ledger is on a
        server or is encrypted already, with nothing changed.
        """
        self.ledger.check_encryption()
        self.keys.set_recovery(recovery)
        self.ledger.encrypt(passphrase, recovery)

    def data_version(self, *, as_of: date | datetime | None = None) -> str:
        """Twelve hex digits that change whenever the data do."""
        return self.ledger.data_version(as_of=self._moment(as_of))

    def _moment(self, as_of: date | datetime | None) -> datetime | None:
        """*as_of* as the ledger takes it: a time without a zone is the office's, and a day is meant to its end."""
        if as_of is None or (isinstance(as_of, datetime) and as_of.utcoffset() is not None):
            return as_of
        if isinstance(as_of, datetime):
            return as_of.replace(tzinfo=self.settings.zone)
        return datetime.combine(as_of, time.max, self.settings.zone)

    def complaints(
        self,
        *,
        category: str | None = None,
        channel: str | None = None,
        district: str | None = None,
        since: date | datetime | None = None,
        until: date | datetime | None = None,
        case: str | None = None,
        near: tuple[float, float, float] | None = None,
        columns: Iterable[str] | None = None,
        as_of: date | datetime | None = None,
    ) -> gpd.GeoDataFrame:
        """The complaints as a GeoDataFrame in EPSG:4326, ordered by receipt, times in the office's zone.

        *category* is a main category's code, *since* is included, *until* is not, *case* is an id or number, *near*
        is ``(lon, lat, radius in metres)``; *columns* (of :data:`fieldkit.ledger.frames.COLUMNS`) leaves out the
        others. *as_of* asks for them as they stood in the ledger at that moment, or at the end of that day. Complaints
        without a place have an empty geometry. Who complained is not in it.
        """
        from fieldkit.ledger.frames import Filters

        moment = self._moment(as_of)
        case_id = self.ledger.find_case(case, as_of=moment) if case is not None else None
        filters = Filters(category, channel, district, since, until, case_id, near)
        return self.ledger.complaints(filters, columns=columns, zone=self.settings.zone, as_of=moment)

    def cases(
        self,
        *,
        category: str | None = None,
        channel: str | None = None,
        district: str | None = None,
        since: date | datetime | None = None,
        until: date | datetime | None = None,
        as_of: date | datetime | None = None,
        only_open: bool = False,
        limit: int | None = None,
    ) -> pd.DataFrame:
        """The cases that hold a complaint with these features, the one with the newest complaint first.

        With *only_open* those that are closed are left out; with *limit* no more than so many are read.
        """
        from fieldkit.ledger.frames import Filters

        filters = Filters(category, channel, district, since, until)
        return self.ledger.cases(
            filters,
            zone=self.settings.zone,
            as_of=self._moment(as_of),
            only_open=only_open,
            limit=limit,
        )

    def case(self, name: str, *, as_of: date | datetime | None = None) -> Case:
        """One case by its id or number; raises :class:`~fieldkit.errors.UnknownCase`."""
        return self.ledger.case(name, as_of=self._moment(as_of))

    def records(self, *, as_of: date | datetime | None = None) -> dict[str, dict[str, Any]]:
        """The last manifest of every case that has a record, by the case's id."""
        return self.ledger.records(as_of=self._moment(as_of))

    def verify(self, *, heads: Iterable[Head] = (), thorough: bool = False) -> list[Problem]:
        """Check that nothing was changed since it was written; returns what is wrong, an empty list when nothing is.

        *heads* are those that were kept elsewhere (a record, a backup, another office). What was found good is
        remembered in ``keys/heads.jsonl``: a tail that is missing the next time, an older copy put in the ledger's
        place, or a device that signs with another key than before is then found without them. With *thorough* it is
        also looked whether the database's file is sound and the tables that are read follow from the events, on a copy,
        while others write; that takes some ten times as long.
        """
        remembered = read_heads(self._seen) if self._seen.is_file() else []
        trusted = {head.origin: head.key for head in remembered if head.key}
        problems = self.ledger.verify(heads=[*remembered, *heads], trusted=trusted)
        if not problems:
            with suppress(OSError):  # whoever may only read can verify all the same
                self.remember()
        return problems + (self._wrong_tables() if thorough else [])

    def _wrong_tables(self) -> list[Problem]:
        found = [
            Problem("", 0, f"The database's file is damaged: {words}.") for words in self.ledger.damage()
        ]
        with private_folder(self.settings.folder) as scratch:
            self.ledger.copy_to(scratch / "ledger.sqlite")
            with closing(self.ledger.beside(scratch / "ledger.sqlite")) as copy:
                if copy.state_hash() != copy.rebuild():
                    words = (
                        "The tables that are read differ from the events. `fieldkit rebuild` makes them anew."
                    )
                    found.append(Problem("", 0, words))
        return found

    def remember(self) -> None:
        """Remember where the chain of each device ends, for :meth:`verify`."""
        write_text(self._seen, heads_text(self.ledger.heads()), mode=0o600)

    @property
    def _seen(self) -> Path:
        return self.settings.keys / "heads.jsonl"

    @cached_property
    def evidence(self) -> EvidenceFolder:
        """The folder of evidence."""
        return EvidenceFolder(self.settings.evidence)

    def exhibits(self, case: str | Case, *, as_of: date | datetime | None = None) -> tuple[Exhibit, ...]:
        """The evidence of a case (its id, its number or itself), each piece with its state on disk now.

        A file of more than 64 MB is not read whole for that (:func:`fieldkit.casework.verify_evidence` does).
        """
        found = self.case(case, as_of=as_of) if isinstance(case, str) else case
        return self.evidence.exhibits(found.evidence)

    def spoilt_evidence(self, cases: Iterable[str]) -> dict[str, Counter[str]]:
        """How many pieces of evidence are ``missing`` and ``altered`` now, by id for those of *cases* that have any.

        Looked at as :meth:`exhibits` does.
        """
        held = self.ledger.evidence()
        # Evidence may have been added to a case that was merged into another since.
        now, wanted = self.ledger.cases_of(held), set(cases)
        pieces: dict[str, dict[str, Evidence]] = {}
        for subject, payloads in held.items():
            if (case := now.get(subject, subject)) in wanted:
                pieces.setdefault(case, {}).update((data["sha256"], evidence_of(data)) for data in payloads)
        counted = {
            case: Counter(one.state for one in self.evidence.exhibits(own.values()) if not one.is_intact)
            for case, own in pieces.items()
        }
        return {case: states for case, states in counted.items() if states}

    def areas(self) -> Areas | None:
        """The office's areas (``layers/areas.geojson``), or None when it has none."""
        path = self.settings.layers / "areas.geojson"
        return Areas.read(path) if path.is_file() else None

    @property
    def gazetteer_path(self) -> Path:
        """The office's table of places (``layers/places.csv``), which may be missing."""
        return self.settings.layers / "places.csv"

    def analyse(
        self,
        name: str,
        *,
        category: str | None = None,
        district: str | None = None,
        since: date | datetime | None = None,
        until: date | datetime | None = None,
        as_of: date | datetime | None = None,
        out: str | Path | None = None,
        seed: int = 0,
        **options: Any,
    ) -> pd.DataFrame:
        """Run the analysis *name* (group ``fieldkit.analyses``) on the complaints that pass the filters.

        *options* go to the analysis. With *out* the result is also written, by its suffix: ``.html`` a map that
        opens without network (as the description ``maps/NAME.toml`` says, where there is one; single complaints only
        up to :data:`MOST_POINTS`), ``.png``, ``.geojson``, ``.gpkg``, ``.parquet`` or ``.csv``. Raises
        :class:`~fieldkit.errors.PluginError` for an unknown name, :class:`~fieldkit.errors.AnalysisError` when the
        data cannot answer.
        """
        analysis = load_plugin("fieldkit.analyses", name, self.settings.plugins)
        if getattr(analysis, "takes_period", False):
            options |= {name: day for name, day in (("since", since), ("until", until)) if day is not None}
            since = until = None
        frame = self.complaints(category=category, district=district, since=since, until=until, as_of=as_of)
        result: pd.DataFrame = analysis.run(frame, seed=seed, **options)
        if out is not None:
            self._write(name, analysis.title, frame, result, Path(out), seed)
        return result

    def _write(
        self, name: str, title: str, frame: gpd.GeoDataFrame, result: pd.DataFrame, out: Path, seed: int
    ) -> None:
        from fieldkit import maps

        areas = self.areas()
        described = maps.described(name, self.settings.maps) if out.suffix.lower() == ".html" else None
        if described is None:
            maps.write_map(result, out, title=title, areas=areas)
            return
        frames = {name: result}
        for layer in described.layers:
            if layer.data not in frames and (data := self._layer_data(layer.data, frame, seed)) is not None:
                frames[layer.data] = data
        page = maps.draw_description(
            described, frames, areas=areas, allowed=self.settings.plugins, folder=self.settings.folder
        )
        write_text(out, page)

    def _layer_data(self, name: str, frame: gpd.GeoDataFrame, seed: int) -> pd.DataFrame | None:
        if name == "complaints":
            # Beyond this a map is slow to open and its single points say nothing; the cells and clusters do.
            return frame if len(frame) <= MOST_POINTS else None
        if name not in {plugin.name for plugin in list_plugins() if plugin.group == "fieldkit.analyses"}:
            return None
        try:
            result: pd.DataFrame = load_plugin("fieldkit.analyses", name, self.settings.plugins).run(
                frame, seed=seed
            )
        except AnalysisError:
            return None  # too few complaints for this layer; the map is drawn without it
        return result


def open_workspace(
    folder: str | Path | None = None, *, as_of: date | datetime | str | None = None
) -> Workspace:
    """Open the workspace in *folder*, else the one that :func:`fieldkit.settings.find_workspace` finds.

    With *as_of* every read of it is as of that moment or the end of that day (as a text, see :func:`read_moment`), and
    nothing can be written. None is as of the variable ``FIELDKIT_AS_OF``, or the present where that is not set; an
    empty text is the present.
    """
    if as_of is None:
        as_of = os.environ.get("FIELDKIT_AS_OF", "")
    if isinstance(as_of, str):
        as_of = read_moment(as_of) if as_of else None
    return Workspace(read_settings(find_workspace(folder)), as_of=as_of)


def read_moment(text: str) -> date:
    """The day (``2017-06-30``) or the moment (``2017-06-30T18:00``, with or without a zone) that *text* says.

    Raises :class:`~fieldkit.errors.SettingsError`.
    """
    try:
        return date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text)
    except ValueError as error:
        raise SettingsError(
            f"{text!r} is not a day or a moment. Write it as YYYY-MM-DD or YYYY-MM-DDTHH:MM, "
            "for example 2017-06-30T18:00."
        ) from error


def init_workspace(folder: str | Path = ".", **values: str) -> Workspace:
    """Make *folder* a workspace: settings, an empty ledger, and folders for layers, maps, records and results.

    *values* are settings (see :class:`~fieldkit.settings.Settings`). Raises
    :class:`~fieldkit.errors.SettingsError` when it already is a workspace, and
    :class:`~fieldkit.errors.LedgerError` when a ledger cannot be kept there; then nothing was made.
    """
    named = Path(folder).expanduser().absolute()
    path = named.resolve()
    check_address(planned_ledger(named, values))
    try:
        make_folder(path)
        write_settings(path, **values)
        workspace = Workspace(read_settings(path))
        for part in ("layers", "maps", "records", "out"):
            make_folder(path / part)
        if not workspace.gazetteer_path.exists():
            write_text(workspace.gazetteer_path, _GAZETTEER_HEADER)
    except OSError as error:
        raise SettingsError(f"{path} cannot be made a workspace: {error.strerror}.") from error
    workspace.ledger.count()
    return workspace
