"""Who kept processors busy, as a `cpu` context record tells it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tracer.context.fields import number
from tracer.errors import TraceError

BUSY_MAX = 1_024  # processes that one record tells of


@dataclass(frozen=True, slots=True)
class Row:
    """`start_ns` is since boot, in whole ticks; the others are as in `tracer.events.Busy`."""

    pid: int
    start_ns: int
    scope: int
    percent: int
    threads: int


def busy_rows(record: Mapping[str, Any]) -> Iterator[Row]:
    """Raises TraceError when it is none."""
    rows = record.get("busy")
    if not isinstance(rows, list):
        raise TraceError("a record of busy processes that is none")
    for row in rows[:BUSY_MAX]:
        if not isinstance(row, Mapping):
            raise TraceError("a record of busy processes with one that is none")
        yield Row(*(number(row, name) for name in ("pid", "start_ns", "scope", "percent", "threads")))
