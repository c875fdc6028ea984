"""Bytes -> `Record`, by the layout that the probes' BTF or the trace gives. Trusts nothing in the bytes."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from operator import itemgetter
from typing import Any

from tracer.errors import AbiMismatch, TraceError
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
    Flag,
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

ABI_VERSION = 2
PATH_MAX = 4096  # RB_PATH_MAX
NAME_MAX = 255
_CACHE_LIMIT = 16_384
_UNREADABLE, _PATH_CUT = int(Flag.UNREADABLE), int(Flag.PATH_CUT)  # an IntFlag's own `&` takes a microsecond
_NUMBER = re.compile("[BHIQbhiq]")
_BYTES = re.compile("[0-9]{1,3}s")

# struct rb_... in abi.h -> the class and the kinds it is for
_STRUCTS: dict[str, tuple[type[Record], tuple[Kind, ...]]] = {
    "fork": (ForkRecord, (Kind.FORK,)),
    "exec": (ExecRecord, (Kind.EXEC, Kind.PROCESS)),
    "exec_failed": (ExecFailedRecord, (Kind.EXEC_FAILED,)),
    "exit": (ExitRecord, (Kind.EXIT,)),
    "connect": (ConnectRecord, (Kind.CONNECT, Kind.BIND, Kind.LISTEN, Kind.ACCEPT)),
    "open": (OpenRecord, (Kind.OPEN,)),
    "close": (CloseRecord, (Kind.CLOSE,)),
    "payload": (PayloadRecord, (Kind.SEND, Kind.HEAD, Kind.DNS)),
    "flow": (FlowRecord, (Kind.FLOW,)),
    "path": (
        PathRecord,
        (
            Kind.RENAME, Kind.UNLINK, Kind.LINK, Kind.SYMLINK, Kind.MKDIR, Kind.RMDIR,
            Kind.TRUNCATE, Kind.CHMOD, Kind.CHOWN,
        ),
    ),
    "boundary": (BoundaryRecord, (Kind.BOUNDARY,)),
    "cgroup": (CgroupRecord, (Kind.CGROUP,)),
}  # fmt: skip

# Structs inside of those, by the name that the fields of records have as their type.
_NESTED: dict[str, type[Any]] = {each.__name__: each for each in (Peer, Target, Credentials, FileId)}

Decode = Callable[[bytes], Record]


class RecordDecoder:
    """Decodes the records of one trace.

    `abi` is the layout from `tracer.capture.layout`. Raises AbiMismatch when it is of another version and
    TraceError when it is not a layout at all.
    """

    def __init__(self, abi: Mapping[str, Any]) -> None:
        _check_version(abi)
        self._decoders: dict[int, Decode] = {}
        self._paths = _Texts(path_text)
        self._names = _Texts(os.fsdecode)
        try:
            head = _Format(abi["structs"]["fork"]["fields"])
            self._kind = struct.Struct(f"<{head.offsets['head.kind']}xH").unpack_from
            self._flags_at = head.names.index("head.flags")
            for name, (record, kinds) in _STRUCTS.items():
                decode = self._decoder(record, abi["structs"][name])
                self._decoders |= dict.fromkeys(kinds, decode)
        except (KeyError, TypeError, ValueError, AttributeError, struct.error) as error:
            raise TraceError(f"the layout of the records is damaged: {error!r}") from None

    def decode(self, record: memoryview | bytes) -> Record:
        """Raises TraceError when the bytes are not a record of a known kind, whole and without a rest."""
        data = bytes(record)
        try:
            return self._decoders[self._kind(data)[0]](data)
        except KeyError as error:
            raise TraceError(f"a kernel record of unknown kind {error}") from None
        except struct.error as error:
            raise TraceError(f"a kernel record is too short: {error}") from None

    def _decoder(self, record: type[Record], layout: Mapping[str, Any]) -> Decode:
        form = _Format(layout["fields"])
        if form.bytes > layout["bytes"]:
            raise ValueError(f"{record.__name__}: fields beyond its end")
        begin, flags_at = int(layout["bytes"]), self._flags_at
        strings = [(index, self._text_maker(name)) for index, name in form.strings]
        _check_fields(record, form)
        pick = itemgetter(*form.values)
        nested = _nested(record, form)
        unpack = form.unpack

        def decode(data: bytes) -> Record:
            values = unpack(data)
            flags, position = values[flags_at], begin
            texts = []
            for index, text in strings:
                end = position + values[index]
                texts.append(text(data[position:end], flags))
                position = end
            if position != len(data):
                raise TraceError(f"a kernel record of {len(data)} bytes should have {position}")
            fixed = pick(values)
            for first, last, make in nested:
                fixed = (*fixed[:first], make(*fixed[first:last]), *fixed[last:])
            return record(*fixed, *texts)

        return decode

    def _text_maker(self, name: str) -> Callable[[bytes, int], Any]:
        if name in ("args", "env"):
            return lambda data, _flags: args_text(data)
        if name in ("path", "path2", "cwd"):
            return self._path
        if name == "data":
            return lambda data, _flags: data
        return lambda data, _flags: self._names.of(data)

    def _path(self, data: bytes, flags: int) -> str:
        if not data and flags & _UNREADABLE:
            return ""
        if flags & _PATH_CUT and len(data) > PATH_MAX - 2 * NAME_MAX:
            return path_text(data)[1:]  # the names next to the root are missing, so it begins with none
        return self._paths.of(data)


class _Format:
    """The fields of one struct: how to unpack them, and which of the values mean what."""

    def __init__(self, layout: Sequence[Sequence[Any]]) -> None:
        self.names = [str(name) for name, _offset, _code in layout]
        self.offsets = {str(name): int(offset) for name, offset, _code in layout}
        form, position = "<", 0
        for _name, offset, code in layout:
            form += f"{offset - position}x{code}"
            position = offset + struct.calcsize(f"<{code}")
        unpacker = struct.Struct(form)
        self.bytes, self.unpack = unpacker.size, unpacker.unpack_from
        self.strings = [
            (index, name.removesuffix("_len"))
            for index, name in enumerate(self.names)
            if name.endswith("_len")
        ]
        self.values = [
            index
            for index, name in enumerate(self.names)
            if not name.endswith("_len") and not name.startswith("reserved")
        ]
        self.fields = [self.names[index].removeprefix("head.") for index in self.values]
        self.codes = {name: str(code) for name, _offset, code in layout}
        if not all(_NUMBER.fullmatch(self.codes[self.names[index]]) for index, _name in self.strings):
            raise ValueError("the length of a string is not a number")


def _nested(record: type[Record], form: _Format) -> list[tuple[int, int, type[Any]]]:
    """First and last value of each nested struct and its class; the last one first, as they are folded in."""
    classes = {field.name: _NESTED[str(field.type)] for field in fields(record) if field.type in _NESTED}
    owners = [name.split(".")[0] for name in form.fields]
    found = [
        (owners.index(name), owners.index(name) + len(fields(made)), made) for name, made in classes.items()
    ]
    return sorted(found, key=itemgetter(0), reverse=True)


def _check_version(abi: Mapping[str, Any]) -> None:
    version = abi.get("version")
    if not isinstance(version, int):
        raise TraceError("the trace does not say which records it holds")
    if version != ABI_VERSION:
        raise AbiMismatch(version, ABI_VERSION)


def _check_fields(record: type[Record], form: _Format) -> None:
    """The class has the fields of the struct, in its order, and then the strings."""
    expected: list[str] = []
    for name in form.fields:
        owner = name.split(".")[0]
        if owner not in expected:
            expected.append(owner)
    expected += [name for _index, name in form.strings]
    declared = [field.name for field in fields(record)]
    if declared != expected:
        raise ValueError(f"{record.__name__} has {declared}, the records have {expected}")
    inner = [each for nested in _NESTED.values() for each in fields(nested)]
    types = {field.name: field.type for field in (*inner, *fields(record))}
    for index, name in zip(form.values, form.fields, strict=True):
        pattern = _BYTES if types[name.rpartition(".")[2]] == "bytes" else _NUMBER
        if not pattern.fullmatch(form.codes[form.names[index]]):
            raise ValueError(f"{record.__name__}: {name} is of another type")


class _Texts:
    """Text made from bytes, kept for the next time: most paths and names come again."""

    def __init__(self, make: Callable[[bytes], str]) -> None:
        self._make = make
        self._made: dict[bytes, str] = {}

    def of(self, data: bytes) -> str:
        text = self._made.get(data)
        if text is None:
            if len(self._made) >= _CACHE_LIMIT:
                self._made.clear()
            text = self._made[data] = self._make(data)
        return text


def path_text(walk: bytes) -> str:
    """A walk from leaf to root as a path: b"bin/usr/" is "/usr/bin", b"" the root."""
    return "/" + "/".join(reversed(os.fsdecode(walk[:-1]).split("/"))) if walk else "/"


def args_text(data: bytes) -> tuple[str, ...]:
    """An argument vector; its last argument may be cut and then has no NUL."""
    if not data:
        return ()
    return tuple(os.fsdecode(data.removesuffix(b"\0")).split("\0"))
