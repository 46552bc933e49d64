"""The workspace's settings: the address of the ledger, the folders, the language, the time zone, the plugins.

A workspace is a folder with a ``fieldkit.toml``. Settings are read once and passed in; nothing below asks the
environment. Order, strongest first: an argument, a ``FIELDKIT_…`` variable, ``fieldkit.toml``, the default.
"""

from __future__ import annotations

import os
import tomllib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fieldkit.errors import SettingsError
from fieldkit.files import write_text

FILE_NAME = "fieldkit.toml"
DEMO_FOLDER = "fieldkit-demo"
_SQLITE = "sqlite:///"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a workspace's ``fieldkit.toml`` says.

    *folder* is the workspace; *ledger* a database URL of SQLAlchemy, by default the SQLite file
    ``ledger.sqlite`` in the folder (a relative SQLite file is one of the folder's, wherever the kit is called from);
    *origin* the name under which this device writes events; *title* what the
    office is called on records and dashboards; *time_zone* an IANA name; *language* ``en``, ``zh`` or ``both``;
    *crs* the reference system of coordinates in files that do not say (``ask`` refuses to guess inside China);
    *plugins* the names of plugins beyond the built-in ones that may be imported, as ``group:name`` or
    ``name``; *actor* who is written down as having done a deed, by default the account's name.
    """

    folder: Path
    ledger: str = field(repr=False)  # it may hold a password
    origin: str
    title: str = "Environmental complaints"
    time_zone: str = "Asia/Shanghai"
    language: str = "both"
    crs: str = "ask"
    actor: str = ""
    plugins: tuple[str, ...] = field(default=())

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which the office lives."""
        return ZoneInfo(self.time_zone)

    @property
    def layers(self) -> Path:
        """The folder of map layers: ``areas.geojson`` and the gazetteer ``places.csv``."""
        return self.folder / "layers"

    @property
    def maps(self) -> Path:
        """The folder of the workspace's own map descriptions; the kit's are used where it has none."""
        return self.folder / "maps"

    @property
    def records(self) -> Path:
        """The folder that records are written to, one folder a case."""
        return self.folder / "records"

    @property
    def keys(self) -> Path:
        """The folder of the device's keys, which only its account may read."""
        return self.folder / "keys"

    @property
    def evidence(self) -> Path:
        """The folder of evidence, by content; its files are read-only."""
        return self.folder / "evidence"

    @property
    def out(self) -> Path:
        """The folder for refused rows, maps and other results."""
        return self.folder / "out"


#: The keys that ``fieldkit.toml`` and ``FIELDKIT_…`` variables may set.
KEYS = tuple(f.name for f in fields(Settings) if f.name != "folder")


def find_workspace(folder: str | Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Find the workspace: *folder*, else ``FIELDKIT_WORKSPACE``, else here and upwards, else the demonstration's.

    Raises :class:`SettingsError` with what to do when there is none.
    """
    named = folder or environment.get("FIELDKIT_WORKSPACE")
    if named:
        path = Path(named).expanduser().resolve()
        if not (path / FILE_NAME).is_file():
            raise SettingsError(
                f"{path} is not a workspace: it has no {FILE_NAME}. Make one with `fieldkit init {named}`."
            )
        return path
    here = Path.cwd()
    for name in ("", DEMO_FOLDER):
        for parent in (here, *here.parents):
            if (parent / name / FILE_NAME).is_file():
                return parent / name
    raise SettingsError(
        f"There is no workspace in {here} or above it. Make one with `fieldkit init`, try `fieldkit demo`, "
        "or say where it is with --workspace or the variable FIELDKIT_WORKSPACE."
    )


def read_settings(folder: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings of the workspace in *folder*; raises :class:`SettingsError` naming the key that is wrong."""
    path = folder / FILE_NAME
    try:
        values: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not valid TOML: {error}.") from error
    said_by = {key: name for key in KEYS if (name := f"FIELDKIT_{key.upper()}") in environment}
    for key, name in said_by.items():
        text = environment[name]
        values[key] = [plugin for plugin in text.split(",") if plugin] if key == "plugins" else text
    return _checked(folder, path, values, said_by)


def write_settings(folder: Path, **values: str) -> Settings:
    """Make *folder* a workspace: write its ``fieldkit.toml`` with *values* and a new origin.

    Raises :class:`SettingsError` when it already is one.
    """
    path = folder / FILE_NAME
    if path.exists():
        raise SettingsError(
            f"{folder} already is a workspace. Delete {path} to make it anew, or choose another folder."
        )
    values = {"origin": uuid.uuid4().hex[:12], **values}
    settings = _checked(folder, path, dict(values), {})
    write_text(path, _toml(values))
    return settings


def planned_ledger(
    folder: Path, values: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> str:
    """The address of the ledger that the workspace *folder* would have, were it made with *values*."""
    given = environment.get("FIELDKIT_LEDGER", values.get("ledger", f"{_SQLITE}ledger.sqlite"))
    return _in_folder(folder, given)


def settings_text(file: Path, **changed: str | None) -> str:
    """What the settings in *file* say, with some of them changed (None leaves one out), as text for another file."""
    try:
        values: dict[str, Any] = tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}.") from error
    values |= changed
    return _toml({key: value for key, value in values.items() if value is not None})


def asset(relative: str) -> Path:
    """Find a notebook, dashboard or map that comes with the kit, e.g. ``notebooks/investigation.ipynb``.

    A wheel carries them inside the package; an editable installation has them beside it.
    """
    package = Path(__file__).parent
    for root in (package / "_assets", package.parent):
        if (root / relative).exists():
            return root / relative
    raise SettingsError(f"{relative} did not come with this installation of fieldkit. Install the kit again.")


def _checked(folder: Path, path: Path, values: dict[str, Any], said_by: Mapping[str, str]) -> Settings:
    """The settings in *values*; *said_by* names the variable of each key that the file *path* does not say itself."""

    def sets(key: str) -> str:
        where = f"The variable {said_by[key]}" if key in said_by else str(path)
        return f"{where} sets {key} to {values[key]!r}."

    unknown = sorted(set(values) - set(KEYS))
    if unknown:
        raise SettingsError(
            f"{path} sets {unknown[0]!r}, which is not a setting. Settings are: {', '.join(KEYS)}."
        )
    for key in KEYS:
        if key in values and key != "plugins" and not isinstance(values[key], str):
            raise SettingsError(f"{sets(key)} It must be text in quotes.")
    if not values.get("origin"):
        raise SettingsError(
            f'{path} names no origin, so events could not be told from another device\'s. Add: origin = "…"'
        )
    plugins = values.get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise SettingsError(f"{sets('plugins')} It must be a list of names.")
    if values.get("language", "both") not in ("en", "zh", "both"):
        raise SettingsError(f"{sets('language')} Use en, zh or both.")
    if values.get("crs", "ask") not in ("ask", "wgs84", "gcj02", "bd09", "cgcs2000"):
        raise SettingsError(f"{sets('crs')} Use ask, wgs84, gcj02, bd09 or cgcs2000.")
    try:
        ZoneInfo(values.get("time_zone", "Asia/Shanghai"))
    except (
        ZoneInfoNotFoundError,
        ValueError,
        OSError,
    ) as error:  # OSError: a folder of zones, such as "Asia"
        raise SettingsError(f"{sets('time_zone')} Use an IANA name such as Asia/Shanghai.") from error
    address = _in_folder(folder, values.get("ledger", f"{_SQLITE}ledger.sqlite"))
    return Settings(**{**values, "folder": folder, "ledger": address, "plugins": tuple(plugins)})


def _in_folder(folder: Path, ledger: str) -> str:
    # Otherwise each folder from which the kit is called would get an empty ledger of its own.
    file = ledger.removeprefix(_SQLITE)
    if file == ledger or file in ("", ":memory:") or file.startswith("file:"):
        return ledger
    return f"{_SQLITE}{(folder / file).as_posix()}"


def _toml(values: Mapping[str, Any]) -> str:
    lines = ["# A fieldkit workspace. The manual's page on settings says what else may stand here."]
    lines += [f"{key} = {_toml_value(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_toml_value, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return _toml_text(value) if isinstance(value, str) else str(value)


def _toml_text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
