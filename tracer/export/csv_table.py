"""Comma-separated values (RFC 4180), one row a document, the columns of `columns` in the first row.

A cell that a spreadsheet would take for a formula begins with an apostrophe: a traced program chooses its
names and arguments, and whoever opens the table must not run them. Control bytes and line ends are escaped.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from typing import TextIO

from tracer.export.columns import COLUMNS
from tracer.export.documents import Document
from tracer.text import printable

_FORMULA = ("=", "+", "-", "@")


def write(documents: Iterable[Document], out: TextIO) -> None:
    """Errors of `out` (OSError) pass through."""
    names = [column.name for column in COLUMNS]
    write_rows(out, names, ([column.read(document) for column in COLUMNS] for document in documents))


def write_rows(out: TextIO, names: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Any table: numbers and what is empty as they are, all else as text that no spreadsheet runs."""
    table = csv.writer(out, lineterminator="\r\n")
    table.writerow(map(safe_cell, names))
    table.writerows(map(safe_cell, row) for row in rows)


def safe_cell(value: object) -> object:
    """A value as it may stand in a table that is opened by a spreadsheet."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if shown.startswith(_FORMULA) else shown
