"""Where each field of a wire record lies: from the probes' BTF to a plain object that a trace carries.

    {"version": 1, "structs": {"fork": {"bytes": 64, "fields": [["head.time_ns", 0, "Q"], ...]}, ...}}

A field is its name, its offset in bytes, and its code in the notation of Python's `struct` ("16s" for bytes).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tracer.capture.btf import Btf, BtfKind
from tracer.errors import KernelError
from tracer.records import Flag, Kind

_ENUMS = {"kind": Kind, "flag": Flag}
_INT_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def layout_of(btf: Btf) -> dict[str, Any]:
    """The layout of all records. Raises KernelError when the probes and this version do not fit together."""
    structs: dict[str, Any] = {}
    enums: dict[str, dict[str, int]] = {}
    for member in btf.members(btf.find(BtfKind.STRUCT, "rb_layout")):
        type_id, found = btf.resolve(member.type_id)
        if found.kind is BtfKind.STRUCT:
            fields = [list(field) for field in _fields(btf, type_id, "", 0)]
            structs[member.name] = {"bytes": member.size, "fields": fields}
        else:
            enums[member.name] = btf.enumerators(type_id)
    check_enums(enums)
    return {"version": enums["abi"]["RB_ABI_VERSION"], "structs": structs}


def losses_of(btf: Btf) -> dict[str, int]:
    """The names of the loss counters and their places, kinds first: {"RB_FORK": 1, ...}."""
    found: dict[str, int] = {}
    for member in btf.members(btf.find(BtfKind.STRUCT, "rb_layout")):
        if member.name in ("kind", "loss"):
            found |= btf.enumerators(btf.resolve(member.type_id)[0])
    return found


def _fields(btf: Btf, struct_id: int, prefix: str, base: int) -> Iterator[tuple[str, int, str]]:
    """The fields of a struct, those of structs within it among them."""
    for member in btf.members(struct_id):
        name, offset = prefix + member.name, base + member.offset
        type_id, found = btf.resolve(member.type_id)
        if found.kind is BtfKind.STRUCT:
            yield from _fields(btf, type_id, f"{name}.", offset)
        elif found.kind is BtfKind.ARRAY:
            yield name, offset, f"{member.size}s"
        else:
            code = _INT_CODES[member.size]
            yield name, offset, code.lower() if btf.is_signed(type_id) else code


def check_enums(enums: dict[str, dict[str, int]]) -> None:
    """The names and numbers that Python knows are those of the C code, and none is missing."""
    for name, known in _ENUMS.items():
        compiled = {key.removeprefix("RB_"): value for key, value in enums.get(name, {}).items()}
        compiled.pop("KIND_COUNT", None)
        expected = {each.name: each.value for each in known}
        if compiled != expected:
            raise KernelError(
                f"the probes are from another version: enum rb_{name} differs; build them again"
            )
