"""Reading BTF, the type information of a BPF object or of the kernel.

Format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h in the kernel.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from tracer.errors import KernelError

MAGIC = 0xEB9F
_HEADER = struct.Struct("<HBBIIIII")
_TYPE = struct.Struct("<III")
_TRIPLE = struct.Struct("<III")
_ENUMERATOR = struct.Struct("<Ii")
_BIT_OFFSET = 0xFFFFFF


class BtfKind(IntEnum):
    INT = 1
    PTR = 2
    ARRAY = 3
    STRUCT = 4
    UNION = 5
    ENUM = 6
    FWD = 7
    TYPEDEF = 8
    VOLATILE = 9
    CONST = 10
    RESTRICT = 11
    FUNC = 12
    FUNC_PROTO = 13
    VAR = 14
    DATASEC = 15
    FLOAT = 16
    DECL_TAG = 17
    TYPE_TAG = 18
    ENUM64 = 19


# Bytes of what follows a type, for one of its members (or for the type itself where it has none).
_MEMBER_BYTES = {
    BtfKind.STRUCT: 12,
    BtfKind.UNION: 12,
    BtfKind.ENUM: 8,
    BtfKind.FUNC_PROTO: 8,
    BtfKind.DATASEC: 12,
    BtfKind.ENUM64: 12,
}
_TAIL_BYTES = {BtfKind.INT: 4, BtfKind.ARRAY: 12, BtfKind.VAR: 4, BtfKind.DECL_TAG: 4}
_ALIASES = frozenset({BtfKind.TYPEDEF, BtfKind.VOLATILE, BtfKind.CONST, BtfKind.RESTRICT, BtfKind.TYPE_TAG})


@dataclass(frozen=True, slots=True)
class BtfType:
    """One type. `size_or_type` is a size in bytes or another type's id; `tail` is where its members are.

    has_bitfields   the offsets of its members have the width of a bit field in their upper byte
    """

    kind: BtfKind
    name: str
    members: int
    size_or_type: int
    tail: int
    has_bitfields: bool = False


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a struct; `offset` and `size` in bytes."""

    name: str
    type_id: int
    offset: int
    size: int


class Btf:
    """The types of one object, by name and id. Raises KernelError when the bytes are not BTF."""

    def __init__(self, data: bytes) -> None:
        try:
            self._read(data)
        except (struct.error, ValueError, IndexError) as error:
            raise KernelError(f"the type information of the probes cannot be read: {error}") from None

    def _read(self, data: bytes) -> None:
        magic, _version, _flags, header_bytes, type_off, type_bytes, string_off, string_bytes = (
            _HEADER.unpack_from(data)
        )
        if magic != MAGIC:
            raise ValueError("no BTF magic")
        self._types_data = data[header_bytes + type_off : header_bytes + type_off + type_bytes]
        self._strings = data[header_bytes + string_off : header_bytes + string_off + string_bytes]
        self._types: list[BtfType] = [BtfType(BtfKind.INT, "void", 0, 0, 0)]
        position = 0
        while position < type_bytes:
            name_off, info, size_or_type = _TYPE.unpack_from(self._types_data, position)
            kind, members = BtfKind(info >> 24 & 0x1F), info & 0xFFFF
            tail = position + _TYPE.size
            name, bitfields = self._string(name_off), bool(info >> 31)
            self._types.append(BtfType(kind, name, members, size_or_type, tail, bitfields))
            position = tail + members * _MEMBER_BYTES.get(kind, 0) + _TAIL_BYTES.get(kind, 0)

    def _string(self, offset: int) -> str:
        return self._strings[offset : self._strings.index(b"\0", offset)].decode("ascii", "replace")

    def find(self, kind: BtfKind, name: str) -> int:
        """The id of a type. Raises KernelError when there is none."""
        for type_id, each in enumerate(self._types):
            if each.kind is kind and each.name == name:
                return type_id
        raise KernelError(f"the probes have no {kind.name.lower()} {name}: they are from another version")

    def names(self, kind: BtfKind) -> dict[str, int]:
        """The ids of all types of a kind that have a name; of those with the same, the first."""
        found: dict[str, int] = {}
        for type_id, each in enumerate(self._types):
            if each.kind is kind and each.name:
                found.setdefault(each.name, type_id)
        return found

    def resolve(self, type_id: int) -> tuple[int, BtfType]:
        """The type behind typedefs and qualifiers."""
        while self._types[type_id].kind in _ALIASES:
            type_id = self._types[type_id].size_or_type
        return type_id, self._types[type_id]

    def size(self, type_id: int) -> int:
        """In bytes."""
        type_id, each = self.resolve(type_id)
        if each.kind is BtfKind.ARRAY:
            element, count = self.array(type_id)
            return self.size(element) * count
        return 8 if each.kind is BtfKind.PTR else each.size_or_type

    def array(self, type_id: int) -> tuple[int, int]:
        """Element type and number of elements."""
        element, _index, count = _TRIPLE.unpack_from(self._types_data, self._types[type_id].tail)
        return element, count

    def is_signed(self, type_id: int) -> bool:
        encoding: int = struct.unpack_from("<I", self._types_data, self._types[type_id].tail)[0]
        return bool(encoding >> 24 & 1)

    def members(self, type_id: int) -> list[Member]:
        """Of a struct, in order."""
        each, found = self._types[type_id], []
        for index in range(each.members):
            name_off, member_type, bits = _TRIPLE.unpack_from(self._types_data, each.tail + 12 * index)
            bits &= _BIT_OFFSET if each.has_bitfields else ~0
            found.append(Member(self._string(name_off), member_type, bits // 8, self.size(member_type)))
        return found

    def enumerators(self, type_id: int) -> dict[str, int]:
        each, found = self._types[type_id], {}
        for index in range(each.members):
            name_off, value = _ENUMERATOR.unpack_from(self._types_data, each.tail + 8 * index)
            found[self._string(name_off)] = value
        return found

    def variables(self, section: str) -> dict[str, tuple[int, int]]:
        """Offset and size in bytes of each variable in a section such as ".bss"."""
        each, found = self._types[self.find(BtfKind.DATASEC, section)], {}
        for index in range(each.members):
            variable, offset, size = _TRIPLE.unpack_from(self._types_data, each.tail + 12 * index)
            found[self._types[variable].name] = (offset, size)
        return found
