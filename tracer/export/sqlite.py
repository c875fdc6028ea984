"""A SQLite database: the table `records`, one row a document, and views for people.

The views are those of `views`: events, violations, commands, connections, peers, files and more. The
column `document` has the whole of each as JSON, for SQLite's `->>`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from tracer.errors import RubiconError
from tracer.export.columns import COLUMNS, WHOLE, Cell, Kind
from tracer.export.documents import Document
from tracer.export.views import VIEWS

_ALL = (*COLUMNS, WHOLE)
_ROWS_AT_ONCE = 2_000


def write(documents: Iterable[Document], out: Path) -> None:
    """Into an empty file, or one that is not there yet. Raises RubiconError when it cannot be written."""
    try:
        with closing(sqlite3.connect(out, isolation_level=None)) as database:
            _fill(database, documents)
    except sqlite3.Error as error:
        raise RubiconError(f"cannot write the database: {error}") from error


def _fill(database: sqlite3.Connection, documents: Iterable[Document]) -> None:
    # It is a copy, made in one go and put in its place when it is whole: nothing to roll back to.
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    columns = ", ".join(
        f"{column.name} {'INTEGER' if column.kind is Kind.INTEGER else 'TEXT'}" for column in _ALL
    )
    database.execute(f"CREATE TABLE records ({columns})")
    insert = f"INSERT INTO records VALUES ({', '.join('?' * len(_ALL))})"  # noqa: S608  names of ours
    rows = _rows(documents)
    database.execute("BEGIN")
    while batch := list(islice(rows, _ROWS_AT_ONCE)):
        database.executemany(insert, batch)
    for field in ("time", "action", "process_entity_id"):
        database.execute(f"CREATE INDEX records_{field} ON records ({field})")
    for name, view in VIEWS.items():
        database.execute(f"CREATE VIEW {name} AS {view.query}")
    database.execute("COMMIT")


def _rows(documents: Iterable[Document]) -> Iterator[tuple[Cell, ...]]:
    return (tuple(column.read(document) for column in _ALL) for document in documents)
