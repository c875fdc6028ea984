"""Bytes for the decoder: a layout made up from the record classes, and records written by it.

The fields lie elsewhere than in the probes' structs, on purpose: the decoder must believe the layout it is
given. That the layout of the real ones is read rightly is tested with bytes that C wrote.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from tracer.capture.decode import ABI_VERSION
from tracer.records import (
    BoundaryRecord,
    CgroupRecord,
    CloseRecord,
    ConnectRecord,
    Credentials,
    ExecFailedRecord,
    ExecRecord,
    ExitRecord,
    FileId,
    FlowRecord,
    ForkRecord,
    Kind,
    OpenRecord,
    PathRecord,
    PayloadRecord,
    Peer,
    Record,
    Target,
)

STRUCTS: dict[str, type[Record]] = {
    "fork": ForkRecord,
    "exec": ExecRecord,
    "exec_failed": ExecFailedRecord,
    "exit": ExitRecord,
    "connect": ConnectRecord,
    "open": OpenRecord,
    "close": CloseRecord,
    "payload": PayloadRecord,
    "flow": FlowRecord,
    "path": PathRecord,
    "boundary": BoundaryRecord,
    "cgroup": CgroupRecord,
}
_KINDS: dict[type[Record], tuple[int, ...]] = {
    ForkRecord: (Kind.FORK,),
    ExecRecord: (Kind.EXEC, Kind.PROCESS),
    ExecFailedRecord: (Kind.EXEC_FAILED,),
    ExitRecord: (Kind.EXIT,),
    ConnectRecord: (Kind.CONNECT, Kind.BIND, Kind.LISTEN, Kind.ACCEPT),
    PayloadRecord: (Kind.SEND, Kind.HEAD, Kind.DNS),
    FlowRecord: (Kind.FLOW,),
    OpenRecord: (Kind.OPEN,),
    CloseRecord: (Kind.CLOSE,),
    BoundaryRecord: (Kind.BOUNDARY,),
    CgroupRecord: (Kind.CGROUP,),
}
_CODES = {"daddr": "16s", "saddr": "16s", "stdio": "4s", "comm": "16s", "result": "q"}
_CODES |= dict.fromkeys(("dport", "sport", "family", "protocol"), "H")
_CODES |= dict.fromkeys(("mode", "device"), "I")
_NESTED: dict[Any, type[Any]] = {"Peer": Peer, "Target": Target, "Credentials": Credentials, "FileId": FileId}
_HEAD = {field.name for field in fields(Record)}


def kinds_of(record: type[Record]) -> tuple[int, ...]:
    if record is PathRecord:
        return tuple(range(Kind.RENAME, Kind.CHOWN + 1))
    return _KINDS[record]


def layout() -> dict[str, Any]:
    """What a session record has as `abi`."""
    return {"version": ABI_VERSION, "structs": {name: _struct(record) for name, record in STRUCTS.items()}}


def encode(record: Record) -> bytes:
    """Paths must be absolute, or empty with the flag that says so."""
    values: list[Any] = []
    strings: list[bytes] = []
    for name, code in _fields(type(record)):
        value = _value(record, name)
        if code == "I" and name.endswith("_len"):
            strings.append(_string(name.removesuffix("_len"), value))
            value = len(strings[-1])
        values.append(value)
    form = "<" + "".join(code for _, code in _fields(type(record)))
    return struct.pack(form, *values) + b"".join(strings)


def _struct(record: type[Record]) -> dict[str, Any]:
    placed, offset = [], 0
    for name, code in _fields(record):
        placed.append([name, offset, code])
        offset += struct.calcsize(f"<{code}")
    return {"bytes": offset, "fields": placed}


def _fields(record: type[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for field in fields(record):
        name = f"head.{field.name}" if field.name in _HEAD and not prefix else prefix + field.name
        if field.type in _NESTED:
            yield from _fields(_NESTED[field.type], f"{name}.")
        elif field.type in ("str", "tuple[str, ...]") or field.name == "data":
            yield f"{name}_len", "I"
        else:
            yield name, _CODES.get(field.name, "Q")


def _value(record: Record, name: str) -> Any:
    value: Any = record
    for part in name.removeprefix("head.").removesuffix("_len").split("."):
        value = getattr(value, part)
    return value


def _string(name: str, value: Any) -> bytes:
    if name == "data":
        return bytes(value)
    if name in ("args", "env"):
        return b"".join(os.fsencode(argument) + b"\0" for argument in value)
    if name in ("path", "path2", "cwd"):
        components = os.fsencode(value).split(b"/")[1:]
        return b"".join(component + b"/" for component in reversed(components) if component)
    return os.fsencode(value)
