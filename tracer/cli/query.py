"""`rubicon query TRACE SQL`: SQL over a trace."""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import datetime
from decimal import Decimal
from itertools import islice

from tracer.cli.export import add_selection, say_faults, selection_of
from tracer.cli.progress import shown_progress
from tracer.cli.remote import find
from tracer.errors import EXIT_OK, RubiconError
from tracer.export.columns import COLUMNS, WHOLE
from tracer.export.csv_table import write_rows
from tracer.export.jsonl import line_of
from tracer.export.recorded import documents_of
from tracer.export.views import VIEWS
from tracer.pipeline import open_trace
from tracer.text import printable

_MOST_ROWS_SHOWN = 1_000
_WIDEST_CELL = 60
_EXAMPLE = (
    "rubicon query TRACE 'SELECT process_executable, count(*) FROM commands GROUP BY ALL ORDER BY 2 DESC'"
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = subparsers.add_parser(
        "query",
        help="SQL over a trace",
        description="Ask a trace in DuckDB's SQL. Times are UTC.",
        epilog=_views(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("trace", metavar="TRACE", help="a trace file or the id of a session")
    parser.add_argument("sql", metavar="SQL", help="a question over the views below")
    parser.add_argument(
        "--as",
        dest="form",
        choices=("table", "csv", "jsonl"),
        help="how the answer is written (default: a table on a terminal, else csv)",
    )
    add_selection(parser)
    parser.set_defaults(handler=run, only=None)


def run(args: argparse.Namespace) -> int:
    path = find(args.trace)
    try:
        from tracer.export import database
    except ModuleNotFoundError as error:
        raise RubiconError(f"query needs {error.name}: pip install 'rubicon[tables]'") from error
    form = args.form or ("table" if sys.stdout.isatty() else "csv")
    with open_trace(path) as trace, ExitStack() as stack:
        documents = documents_of(trace, selection_of(args, trace))
        with shown_progress(lambda: trace.progress, to_terminal=False):
            filled = stack.enter_context(database.opened(documents))
        say_faults(path, documents.summary.closing)
        _WRITERS[form](*database.ask(filled, args.sql))
    return EXIT_OK


def _views() -> str:
    width = max(map(len, VIEWS))
    views = "\n".join(f"  {name:<{width}}  {view.about}" for name, view in VIEWS.items())
    names = ", ".join(column.name for column in (*COLUMNS, WHOLE))
    columns = textwrap.fill(names, 100, initial_indent="  ", subsequent_indent="  ")
    return f"views:\n{views}\n\ncolumns of events and violations:\n{columns}\n\nas in:\n  {_EXAMPLE}"


def _table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(Text(printable(name)))
    remaining = iter(rows)
    for row in islice(remaining, _MOST_ROWS_SHOWN):
        table.add_row(*(Text(_shown(cell), overflow="ellipsis") for cell in row))
    Console(highlight=False).print(table)
    if next(remaining, None) is not None:
        print(f"rubicon: the first {_MOST_ROWS_SHOWN:,} rows; --as csv has all", file=sys.stderr)


def _shown(cell: object) -> str:
    text = printable(_text(cell))
    return text if len(text) <= _WIDEST_CELL else f"{text[: _WIDEST_CELL - 1]}…"


def _csv(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    write_rows(sys.stdout, names, ([_number_or_text(cell) for cell in row] for row in rows))


def _jsonl(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    for row in rows:
        sys.stdout.write(line_of({name: _json(cell) for name, cell in zip(names, row, strict=True)}))


def _text(cell: object) -> str:
    if cell is None:
        return ""
    return cell.isoformat() if isinstance(cell, datetime) else str(cell)


def _number_or_text(cell: object) -> object:
    return cell if isinstance(cell, int | float | Decimal) else _text(cell)


def _json(cell: object) -> object:
    return cell if cell is None or isinstance(cell, str | int | float | bool) else _text(cell)


_WRITERS = {"table": _table, "csv": _csv, "jsonl": _jsonl}
