"""A trace as a DuckDB database for one question: the table `records` and the views of `views`.

It lies in a private folder on disk and is gone afterwards, so that a trace may be larger than the memory.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa

from tracer.errors import UsageError
from tracer.export.arrow import SCHEMA, batches
from tracer.export.documents import Documents
from tracer.export.views import VIEWS
from tracer.text import printable


@contextmanager
def opened(documents: Documents) -> Iterator[duckdb.DuckDBPyConnection]:
    """Filled with all of `documents`. Nothing is fetched from anywhere: extensions are not installed."""
    with tempfile.TemporaryDirectory(prefix="rubicon-query-") as folder:
        settings = {"autoinstall_known_extensions": "false", "autoload_known_extensions": "false"}
        path = Path(folder) / "trace.duckdb"
        with closing(duckdb.connect(str(path), config=settings)) as database:  # type: ignore[arg-type]
            reader = pa.RecordBatchReader.from_batches(SCHEMA, batches(documents))
            database.register("incoming", reader)
            database.execute("CREATE TABLE records AS SELECT * FROM incoming")
            database.unregister("incoming")
            for name, view in VIEWS.items():
                database.execute(f"CREATE VIEW {name} AS {view.query}")
            yield database


def ask(database: duckdb.DuckDBPyConnection, sql: str) -> tuple[list[str], Iterator[Sequence[object]]]:
    """The names of the columns, and the rows. Raises UsageError with what DuckDB says of the SQL."""
    try:
        result = database.execute(sql)
    except duckdb.Error as error:
        raise _usage(error) from error
    names = [str(column[0]) for column in result.description or ()]
    return names, _rows(result)


def _rows(result: duckdb.DuckDBPyConnection) -> Iterator[Sequence[object]]:
    try:
        while rows := result.fetchmany(1_000):
            yield from rows
    except duckdb.Error as error:
        raise _usage(error) from error


def _usage(error: duckdb.Error) -> UsageError:
    return UsageError(f"the SQL: {printable(str(error).splitlines()[0])}")
