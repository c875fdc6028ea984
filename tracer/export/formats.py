"""The formats there are, and how each is written. A format's module is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from tracer.errors import RubiconError
from tracer.export.documents import Documents


class Into(Enum):
    STREAM = "a text stream"
    FILE = "a file of its own"


@dataclass(frozen=True, slots=True)
class Format:
    """`extra` is the optional dependency of the package that it needs."""

    module: str
    about: str
    into: Into = Into.STREAM
    extra: str = ""


FORMATS = {
    "jsonl": Format("jsonl", "Elastic Common Schema objects, one a line"),
    "ocsf": Format("ocsf", "OCSF 1.7 events and findings, one a line"),
    "otlp": Format(
        "otlp", "OpenTelemetry log records: OTLP/JSON lines, or sent to a collector when OUT is a URL"
    ),
    "csv": Format("csv_table", "a table with one row a record"),
    "cef": Format("cef", "Common Event Format in RFC 5424 syslog lines"),
    "sqlite": Format("sqlite", "a database with views", Into.FILE),
    "parquet": Format("parquet", "typed columns, for pandas, Polars, DuckDB, Spark", Into.FILE, "tables"),
    "steps": Format("steps", "one object a step of the agent, with its events and whether they broke rules"),
    "attack-navigator": Format("navigator", "an ATT&CK Navigator layer of what broke rules"),
}


def stream_writer(name: str) -> Callable[[Documents, TextIO], None]:
    """`write` of a format that goes into a stream. Raises RubiconError when a package it needs is missing."""
    return _module(name).write  # type: ignore[no-any-return]


def file_writer(name: str) -> Callable[[Documents, Path], None]:
    """`write` of a format that goes into a file of its own. Raises as `stream_writer`."""
    return _module(name).write  # type: ignore[no-any-return]


def _module(name: str) -> Any:
    form = FORMATS[name]
    try:
        return import_module(f"tracer.export.{form.module}")
    except ModuleNotFoundError as error:
        if not form.extra:
            raise
        raise RubiconError(f"{name} needs {error.name}: pip install 'rubicon[{form.extra}]'") from error
