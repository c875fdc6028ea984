"""Documents as Apache Arrow record batches: typed, labels dictionary-encoded, times in nanoseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import islice

import pyarrow as pa

from tracer.export.columns import COLUMNS, WHOLE, Cell, Column, Kind, nanoseconds
from tracer.export.documents import Document

ROWS_AT_ONCE = 10_000
_ALL = (*COLUMNS, WHOLE)
_TYPES = {
    Kind.TEXT: pa.string(),
    Kind.LABEL: pa.dictionary(pa.int32(), pa.string()),
    Kind.INTEGER: pa.int64(),
    Kind.TIME: pa.timestamp("ns", tz="UTC"),
}
SCHEMA = pa.schema([(column.name, _TYPES[column.kind]) for column in _ALL])


def batches(documents: Iterable[Document]) -> Iterator[pa.RecordBatch]:
    remaining = iter(documents)
    while chunk := list(islice(remaining, ROWS_AT_ONCE)):
        arrays = [pa.array(map(_reader(column), chunk), _TYPES[column.kind]) for column in _ALL]
        yield pa.RecordBatch.from_arrays(arrays, schema=SCHEMA)


def _reader(column: Column) -> Callable[[Document], Cell]:
    read = column.read
    if column.kind is not Kind.TIME:
        return read

    def time(document: Document) -> Cell:
        value = read(document)
        return nanoseconds(value) if isinstance(value, str) else None

    return time
