"""What the person importing says about a file: columns, words, zone, reference system; from TOML or a dict."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fieldkit import vocabulary
from fieldkit.errors import IntakeError
from fieldkit.intake.columns import ALL_FIELDS, person_field
from fieldkit.intake.terms import find_categories, find_channel, plain_term
from fieldkit.places import REFERENCE_SYSTEMS

_TABLES = ("columns", "categories", "channels", "defaults", "keep")
_TEXTS = ("source", "time_zone", "crs", "time_format", "encoding", "sheet")
#: Fields that ``[defaults]`` may give to rows that have none.
_DEFAULTS = (
    "received_at",
    "channel",
    "category",
    "text",
    "address",
    "district",
    "community",
    "suspected_source",
)


@dataclass(frozen=True, slots=True)
class Instructions:
    """What was said about a file; an empty text means "not said".

    *columns* is field -> column; *categories* and *channels* are the file's word -> code, words as
    :func:`~fieldkit.intake.terms.plain_term` writes them; *defaults* field -> value; *keep* names columns to keep
    in the complaint's details; *crs* may be ``ask``; *default_crs* is for files in China that do not say theirs.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    channels: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    keep: tuple[str, ...] = ()
    source: str = ""
    time_zone: str = "Asia/Shanghai"
    crs: str = ""
    default_crs: str = "ask"
    time_format: tuple[str, ...] = ()
    encoding: str = ""
    sheet: str = ""

    @property
    def zone(self) -> ZoneInfo:
        """The zone of times that name none."""
        return ZoneInfo(self.time_zone)


def read_instructions(options: Mapping[str, Any]) -> Instructions:
    """Put together a reader's *options*: ``mapping`` (a dict, a TOML file or None) and the options beside it.

    ``time_zone`` in the options is the workspace's and gives way to the mapping's; ``source``, ``sheet``,
    ``encoding``, ``time_format`` and a ``crs`` other than ``ask`` given as options win over the mapping's;
    ``default_crs`` comes last, after what the file itself says. Raises :class:`IntakeError` naming what is wrong.
    """
    said = _read_mapping(options.get("mapping"))
    if options.get("time_zone") and "time_zone" not in said:
        said["time_zone"] = options["time_zone"]
    for key in ("source", "sheet", "encoding", "time_format"):
        if options.get(key):
            said[key] = options[key]
    default_crs = str(options.get("default_crs") or "ask")
    crs = options.get("crs")
    if crs and (crs != "ask" or not said.get("crs")):
        said["crs"] = crs
    return replace(_checked(said), default_crs=default_crs)


def _read_mapping(mapping: object) -> dict[str, Any]:
    if mapping is None:
        return {}
    if isinstance(mapping, Mapping):
        if mapping and all(key in ALL_FIELDS for key in mapping):
            return {"columns": dict(mapping)}
        return dict(mapping)
    path = Path(str(mapping))
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise IntakeError(
            f"The mapping {path} cannot be read: {error.strerror}. Give the path of a TOML file."
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise IntakeError(
            f"The mapping {path.name} is not valid TOML: {error}. Mend it and try again."
        ) from error


def _checked(said: dict[str, Any]) -> Instructions:
    for key, value in said.items():
        if key not in (*_TABLES, *_TEXTS):
            raise IntakeError(
                f"The mapping says {key!r}, which is not known. It may say: {', '.join((*_TABLES, *_TEXTS))}."
            )
        wanted: type = Mapping if key in _TABLES else str
        if key not in ("keep", "time_format", "sheet") and not isinstance(value, wanted):
            raise IntakeError(
                f"The mapping sets {key} to {value!r}. It must be {'a table' if key in _TABLES else 'text'}."
            )
    columns = {str(name): str(column or "") for name, column in said.get("columns", {}).items()}
    for name in columns:
        if name not in ALL_FIELDS:
            raise IntakeError(
                f"The mapping's [columns] names the field {name!r}. Fields are: {', '.join(ALL_FIELDS)}."
            )
    defaults = {str(name): str(value) for name, value in said.get("defaults", {}).items()}
    for name in defaults:
        if name not in _DEFAULTS:
            raise IntakeError(
                f"The mapping's [defaults] names {name!r}. It may name: {', '.join(_DEFAULTS)}."
            )
    result = Instructions(
        columns=columns,
        categories={plain_term(str(k)): _categories(str(v)) for k, v in said.get("categories", {}).items()},
        channels={plain_term(str(k)): _channel(str(v)) for k, v in said.get("channels", {}).items()},
        defaults=defaults,
        keep=_keep(said.get("keep", ())),
        time_format=_strings("time_format", said.get("time_format", ())),
        **{key: str(said[key]) for key in ("source", "crs", "encoding", "sheet") if key in said},
    )
    if "category" in defaults:
        _categories(defaults["category"])
    if "channel" in defaults:
        _channel(defaults["channel"])
    if result.crs not in ("", "ask", *REFERENCE_SYSTEMS):
        raise IntakeError(
            f"The reference system {result.crs!r} is not known. Use one of: {', '.join(REFERENCE_SYSTEMS)}."
        )
    zone = str(said.get("time_zone") or result.time_zone)
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise IntakeError(
            f"The time zone {zone!r} is not known. Use an IANA name such as Asia/Shanghai."
        ) from error
    return replace(result, time_zone=zone)


def _keep(said: object) -> tuple[str, ...]:
    columns = _strings("keep", said.get("details", ()) if isinstance(said, Mapping) else said)
    for column in columns:
        if person_field(column) is not None:
            raise IntakeError(
                f"The column {column!r} is about the complainant and cannot be kept with the complaint. "
                "Take it out of [keep]."
            )
    return columns


def _strings(key: str, said: object) -> tuple[str, ...]:
    if isinstance(said, str):
        return (said,) if said else ()
    if isinstance(said, (list, tuple)) and all(isinstance(text, str) for text in said):
        return tuple(said)
    raise IntakeError(f"The mapping sets {key} to {said!r}. It must be text or a list of texts.")


def _categories(text: str) -> tuple[str, ...]:
    if not text:
        return ()
    codes = find_categories(text)
    if not codes:
        main = ", ".join(vocabulary.main_categories())
        raise IntakeError(
            f"The mapping names the category {text!r}, which is not known. Use a code such as: {main}."
        )
    return codes


def _channel(text: str) -> str:
    code = find_channel(text)
    if not code:
        raise IntakeError(
            f"The mapping names the channel {text!r}. Use one of: {', '.join(vocabulary.channels())}."
        )
    return code
