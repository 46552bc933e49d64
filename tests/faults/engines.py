"""Put another build of SQLite, another disk or other settings under the kit's own store, for the length of a block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import sqlalchemy as sa

from fieldkit.ledger import store

from . import apsw_driver

#: The settings that the store chooses by SQLite's version: below the first WAL is taken, below the second it is not.
JOURNALS = {"wal": (0,), "rollback": (999,)}


@contextmanager
def apsw_engine(journal: str, *, vfs: str | None = None, pragmas: tuple[str, ...] = ()) -> Iterator[None]:
    """Let the store open its files with apsw on the disk *vfs*, in the *journal* that it would choose for a version.

    *pragmas* put other settings in place of those that the store chooses.
    """

    def engine(parsed: sa.URL, _key: object) -> sa.Engine:
        def creator() -> apsw_driver.Connection:
            return apsw_driver.connect(str(parsed.database), vfs=vfs)

        return sa.create_engine(parsed, module=apsw_driver, creator=creator, hide_parameters=True)

    on_connect = store._on_connect

    def with_settings(connection: Any, record: Any) -> None:
        on_connect(connection, record)
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}")

    with (
        mock.patch.object(store, "_sqlite_engine", engine),
        mock.patch.object(store, "_WAL_SINCE", JOURNALS[journal]),
        mock.patch.object(store, "_on_connect", with_settings),
    ):
        yield
