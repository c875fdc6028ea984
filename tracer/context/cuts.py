"""Which field a record says was cut, by the name it has in the exported event."""

from __future__ import annotations

import os

from tracer.events import Truncation
from tracer.records import (
    BoundaryRecord,
    ConnectRecord,
    ExecFailedRecord,
    ExecRecord,
    Flag,
    Kind,
    PathRecord,
    Record,
)

ANY_CUT = int(Flag.PATH_CUT | Flag.NAME_CUT | Flag.ARGS_CUT | Flag.MAPPED)
_PATH_OR_NAME = int(Flag.PATH_CUT | Flag.NAME_CUT)
_ARGS = int(Flag.ARGS_CUT)
_MAPPED = int(Flag.MAPPED)


def truncations(record: Record) -> tuple[Truncation, ...]:
    """What was cut; `length_bytes` is 0 where the probe could not tell the true length."""
    found = []
    if record.flags & _PATH_OR_NAME:
        # The length of a path is gone when the arguments, which come after it, were cut as well.
        length_bytes = 0 if record.flags & _ARGS else record.cut_bytes
        found.append(Truncation(_path_field(record), length_bytes))
    if record.flags & _ARGS:
        total = record.args_total if isinstance(record, ExecRecord) else record.cut_bytes
        found.append(Truncation(_args_field(record), total))
    if record.flags & _MAPPED:
        found.append(Truncation("rubicon.file.bytes_written", 0))
    return tuple(found)


def _args_field(record: Record) -> str:
    return "rubicon.attempted.args" if isinstance(record, ExecFailedRecord) else "process.args"


def _path_field(record: Record) -> str:
    """A record with two paths has one flag for both: the longer one is the one that did not fit."""
    if isinstance(record, ExecRecord):
        cwd = _length(record.cwd) > _length(record.path)
        return "process.working_directory" if cwd else "process.executable"
    if isinstance(record, ConnectRecord):
        return "destination.address"
    if isinstance(record, BoundaryRecord):
        return "rubicon.boundary.path"
    if isinstance(record, PathRecord) and record.kind in (Kind.RENAME, Kind.LINK):
        new = _length(record.path2) > _length(record.path)
        return "file.path" if new else "file.Ext.original.path"
    return "file.path"


def _length(path: str) -> int:
    return len(os.fsencode(path))
