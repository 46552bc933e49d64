"""Make the tables of a new store, and bring an older one up to date, in one transaction each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from fieldkit.errors import LedgerError
from fieldkit.ledger import store, tables
from fieldkit.ledger.appending import Writer

#: The newest version of the tables that this kit knows; an older store is migrated, a newer one refused.
SCHEMA = "0002"
_VERSION = sa.Table(
    "alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True)
)


def migrate(engine: Engine, writer: Callable[[Connection], Writer]) -> None:
    """Bring the store up to date; *writer* gives the end of this device's chain, for what a migration has to write.

    Raises :class:`LedgerError` when the store was made by a newer kit, or the file is some other program's.
    """
    with engine.connect() as connection, connection.begin():
        found = _schema_in(connection)
    if found == SCHEMA:
        return
    if found is not None and found > SCHEMA:
        raise LedgerError(
            f"The ledger was made by a newer fieldkit (tables {found}, this one knows {SCHEMA}). Update the kit."
        )
    with store.writing(engine, bulk=found is not None) as connection:
        # Whoever waited for the lock may find the work done.
        found = _schema_in(connection)
        if found is None:
            tables.metadata.create_all(connection)
            _VERSION.create(connection)
            connection.execute(sa.insert(_VERSION).values(version_num=SCHEMA))
        elif found != SCHEMA:
            _upgrade(connection, writer)


def _upgrade(connection: Connection, writer: Callable[[Connection], Writer]) -> None:
    # Imported here: alembic costs 0.4 s, and a store is migrated once.
    from alembic import command
    from alembic.config import Config

    from fieldkit.ledger.projection import rebuild
    from fieldkit.ledger.vault import seal_plain

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    with store.overwriting(connection):
        command.upgrade(config, SCHEMA)
        for table in tables.PROJECTIONS:
            table.drop(connection, checkfirst=True)
            table.create(connection)
        seal_plain(connection, writer)
    rebuild(connection)


def _schema_in(connection: Connection) -> str | None:
    inspector = sa.inspect(connection)
    if inspector.has_table(_VERSION.name):
        return connection.scalar(sa.select(_VERSION.c.version_num))
    # Somebody's GeoPackage or photo catalogue is not to be written into. (A database of PostgreSQL may well hold
    # tables of an extension.)
    if connection.dialect.name == "sqlite" and (others := inspector.get_table_names()):
        raise LedgerError(
            f"The file is a database, but no ledger: it holds {others[0]!r}. Name another file for the ledger."
        )
    return None
