"""Parquet, compressed with zstd: the rows of `columns` for pandas, Polars, DuckDB, Spark."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq

from tracer.export.arrow import SCHEMA, batches
from tracer.export.columns import COLUMNS, Kind
from tracer.export.documents import Document


def write(documents: Iterable[Document], out: Path) -> None:
    """Into an empty file, or one that is not there yet. Errors of the file pass through."""
    labels = [column.name for column in COLUMNS if column.kind is Kind.LABEL]
    with pq.ParquetWriter(out, SCHEMA, compression="zstd", use_dictionary=labels) as writer:
        for batch in batches(documents):
            writer.write_batch(batch)
