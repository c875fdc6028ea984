"""Steps that were found afterwards, in a file beside a trace that was recorded without any.

The trace itself is never changed: it is sealed. The file `TRACE.correlated` is JSON lines: what it is of,
then `step` records as a session writes them (`tracer.context.steps`), each with how sure it is. It is not
signed: who made it believed a trajectory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tracer.errors import TraceError
from tracer.files import private
from tracer.text import printable

SUFFIX = ".correlated"
BYTES_MAX = 1 << 28
_VERSION = 1

Records = tuple[Mapping[str, Any], ...]


def correlated_path(trace: Path) -> Path:
    return trace.with_name(trace.name + SUFFIX)


def write_correlated(
    trace: Path, session: Mapping[str, Any], facts: Mapping[str, Any], steps: Iterable[Mapping[str, Any]]
) -> Path:
    """In place of one that is there; `facts` say where the steps come from. Raises OSError."""
    path = correlated_path(trace)
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)
    head = {"type": "correlation", "version": _VERSION, "session": session.get("id"), **facts}
    with open(partial, "x", encoding="ascii", opener=private) as file:
        file.writelines(json.dumps(each, separators=(",", ":")) + "\n" for each in (head, *steps))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return path


def read_correlated(trace: Path, session: Mapping[str, Any]) -> Records:
    """The step records in order of their times; none when there is no such file.

    Raises TraceError when it cannot be read or is of another session.
    """
    path = correlated_path(trace)
    try:
        if path.stat().st_size > BYTES_MAX:
            raise _fault(path, f"it is larger than {BYTES_MAX} bytes")
        lines = path.read_text("ascii").splitlines()
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _fault(path, error.strerror or str(error)) from None
    except UnicodeDecodeError:
        raise _fault(path, "it is not what rubicon correlate writes") from None
    return _checked(path, lines, session)


def _checked(path: Path, lines: list[str], session: Mapping[str, Any]) -> Records:
    try:
        head, *records = [json.loads(line) for line in lines]
    except (ValueError, RecursionError):
        raise _fault(path, "it is not what rubicon correlate writes") from None
    if not isinstance(head, dict) or (head.get("type"), head.get("version")) != ("correlation", _VERSION):
        raise _fault(path, "it is not what this version of rubicon correlate writes")
    if head.get("session") != session.get("id"):
        raise _fault(path, "it is of another session")
    if not all(isinstance(each, dict) and type(each.get("time_ns")) is int for each in records):
        raise _fault(path, "a step in it has no time")
    return tuple(sorted(records, key=lambda each: int(each["time_ns"])))


def _fault(path: Path, why: str) -> TraceError:
    return TraceError(f"cannot use {printable(str(path))}: {why}; remove it, or correlate anew")
