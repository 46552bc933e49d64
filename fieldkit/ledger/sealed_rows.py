"""Rows of the vault as JSON: sealed as they are, in hexadecimal digits, for exports and for taking them in again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from fieldkit.errors import LedgerError
from fieldkit.ledger import tables

_TABLES = {table.name: table for table in (*tables.VAULT, tables.imported)}
_HEX = re.compile(r"(?:[0-9a-f]{2})*")


def sealed_plain(table: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of :meth:`fieldkit.ledger.Ledger.sealed` as JSON has it."""
    columns = _TABLES[table].c
    hexed = {
        name: bytes(value).hex()
        for name, value in row.items()
        if value is not None and isinstance(columns[name].type, sa.LargeBinary)
    }
    return {"table": table, "row": {**row, **hexed}}


def sealed_rows(
    files: Iterable[Iterable[tuple[int, Mapping[str, Any]]]],
) -> dict[str, list[tuple[Any, ...]]]:
    """The rows that :func:`sealed_plain` wrote, by table; raises :class:`~fieldkit.errors.LedgerError` for others."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for number, plain in (line for lines in files for line in lines):
        try:
            found.setdefault(plain["table"], []).append(_row(_TABLES[plain["table"]], plain["row"]))
        except (KeyError, TypeError, ValueError) as error:
            raise LedgerError(
                f"Line {number} of what is sealed is no row of the vault. Use another copy."
            ) from error
    return found


def _row(table: sa.Table, plain: Any) -> tuple[Any, ...]:
    if set(plain) != set(table.columns.keys()):
        raise ValueError
    return tuple(_value(column, plain[column.name]) for column in table.columns)


def _value(column: sa.Column[Any], value: Any) -> Any:
    if value is None and column.nullable:
        return None
    if not isinstance(value, str):
        raise TypeError
    if isinstance(column.type, sa.LargeBinary):
        length = column.type.length
        if not _HEX.fullmatch(value) or (length is not None and len(value) != 2 * length):
            raise ValueError
        return bytes.fromhex(value)
    longest = getattr(column.type, "length", None)
    if "\x00" in value or (longest is not None and len(value) > longest):
        raise ValueError
    return value
