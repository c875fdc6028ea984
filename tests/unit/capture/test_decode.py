"""Bytes -> records: what a layout says is believed, and nothing in the bytes is."""

from __future__ import annotations

import struct
from dataclasses import asdict
from typing import Any

import pytest

from tests import records, wire
from tracer.capture.decode import ABI_VERSION, PATH_MAX, RecordDecoder, args_text, path_text
from tracer.errors import AbiMismatch, TraceError
from tracer.records import Act, ExecRecord, Flag, Kind, OpenRecord, PathRecord, Record


@pytest.fixture(scope="module")
def decoder() -> RecordDecoder:
    return RecordDecoder(wire.layout())


def exec_record(**changes: Any) -> ExecRecord:
    made = records.execve(107, "/usr/bin/sh", 5, "sh", "-c", "true")
    for name, value in changes.items():
        setattr(made, name, value)
    return made


@pytest.mark.parametrize(
    "made",
    [
        exec_record(),
        records.boundary(Act.KILL, 107, 9, target=records.target(108, 3), old=records.ROOT, name="x"),
        records.connect(107, records.peer("192.0.2.1", 22)),
    ],
    ids=lambda made: type(made).__name__,
)
def test_every_field_arrives(made: Record, decoder: RecordDecoder) -> None:
    assert asdict(decoder.decode(wire.encode(made))) == asdict(made)


def test_paths_are_turned_round_and_names_kept_byte_exact(decoder: RecordDecoder) -> None:
    made = exec_record(path="/a/\udcff\n\x1b[2J/c", name="./x\udc80", args=("", "\udcfe", "a b"))
    found = decoder.decode(wire.encode(made))
    assert isinstance(found, ExecRecord)
    assert (found.path, found.name, found.args) == (made.path, made.name, made.args)


def test_the_root_and_a_path_that_could_not_be_read() -> None:
    assert path_text(b"") == "/"
    decoder = RecordDecoder(wire.layout())
    readable, unreadable = exec_record(path="/"), exec_record(path="/", flags=int(Flag.UNREADABLE))
    assert decoder.decode(wire.encode(readable)).path == "/"  # type: ignore[attr-defined]
    assert decoder.decode(wire.encode(unreadable)).path == ""  # type: ignore[attr-defined]


def test_a_path_cut_at_the_root_does_not_look_absolute(decoder: RecordDecoder) -> None:
    made = exec_record(path="/" + "/".join(["d" * 200] * (PATH_MAX // 201)), flags=int(Flag.PATH_CUT))
    found = decoder.decode(wire.encode(made))
    assert found.path == made.path[1:]  # type: ignore[attr-defined]
    assert found.cwd == made.cwd  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("data", "args"),
    [(b"", ()), (b"\0", ("",)), (b"a\0", ("a",)), (b"a\0\0", ("a", "")), (b"a\0b", ("a", "b"))],
)
def test_arguments(data: bytes, args: tuple[str, ...]) -> None:
    assert args_text(data) == args


@pytest.mark.parametrize("change", [-1, 1])
def test_a_record_that_is_too_short_or_too_long_is_an_error(decoder: RecordDecoder, change: int) -> None:
    data = wire.encode(exec_record())
    with pytest.raises(TraceError):
        decoder.decode(data[:change] if change < 0 else data + bytes(change))


def test_nothing_and_unknown_kinds_are_errors(decoder: RecordDecoder) -> None:
    for data in (b"", b"abc", bytes(39), bytes(500)):
        with pytest.raises(TraceError):
            decoder.decode(data)


def test_another_version_is_refused_by_name() -> None:
    with pytest.raises(AbiMismatch, match=f"wire ABI 99, this version reads wire ABI {ABI_VERSION}"):
        RecordDecoder({**wire.layout(), "version": 99})


@pytest.mark.parametrize(
    "damage",
    [
        {},
        {"version": ABI_VERSION},
        {"version": "1"},
        {"version": ABI_VERSION, "structs": []},
        {"version": ABI_VERSION, "structs": {"fork": {"bytes": 1, "fields": [["head.kind", -5, "Q"]]}}},
        {"version": ABI_VERSION, "structs": {"fork": {"bytes": 1, "fields": [["head.kind", 0, "rubbish"]]}}},
    ],
)
def test_a_damaged_layout_is_an_error(damage: dict[str, Any]) -> None:
    with pytest.raises(TraceError):
        RecordDecoder(damage)


def test_fields_that_are_not_ours_are_an_error() -> None:
    layout = wire.layout()
    layout["structs"]["open"]["fields"][9][0] = "renamed"
    with pytest.raises(TraceError, match="OpenRecord"):
        RecordDecoder(layout)


@pytest.mark.parametrize(("field", "code"), [("open_flags", "4s"), ("path_len", "4s"), ("mode", "d")])
def test_a_field_of_another_type_is_an_error(field: str, code: str) -> None:
    layout = wire.layout()
    for each in layout["structs"]["open"]["fields"]:
        if each[0] == field:
            each[2] = code
    with pytest.raises(TraceError):
        RecordDecoder(layout)


def test_fields_beyond_the_end_are_an_error() -> None:
    layout = wire.layout()
    layout["structs"]["path"]["bytes"] = 40
    with pytest.raises(TraceError, match="PathRecord"):
        RecordDecoder(layout)


def test_each_kind_has_its_class(decoder: RecordDecoder) -> None:
    for kind in (Kind.RENAME, Kind.CHOWN):
        made = records.named(kind, 107, "/a", "b", "/", "")
        found = decoder.decode(wire.encode(made))
        assert isinstance(found, PathRecord)
        assert found.kind == kind
    opened = decoder.decode(wire.encode(records.opened(107, "/a")))
    assert isinstance(opened, OpenRecord)


def test_lengths_that_wrap_are_an_error(decoder: RecordDecoder) -> None:
    data = bytearray(wire.encode(records.opened(107, "/a")))
    for place in range(40, len(data) - 8, 8):
        broken = bytearray(data)
        struct.pack_into("<Q", broken, place, 2**64 - 1)
        try:
            decoder.decode(bytes(broken))
        except TraceError:
            continue
