"""Where the kernel keeps what: the structs that `fit` asks for, from the kernel's BTF."""

from __future__ import annotations

from pathlib import Path

from tracer.capture.btf import Btf, BtfKind

_AGGREGATES = (BtfKind.STRUCT, BtfKind.UNION)


class BtfLayouts:
    """See `fit.Layouts`."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._structs = btf.names(BtfKind.STRUCT)
        self._enums = btf.names(BtfKind.ENUM)

    def struct_bytes(self, struct: str) -> int | None:
        type_id = self._structs.get(struct)
        return None if type_id is None else self._btf.size(type_id)

    def offset(self, struct: str, field: str) -> int | None:
        type_id = self._structs.get(struct)
        return None if type_id is None else self._find(type_id, field)

    def number(self, enum: str, name: str) -> int | None:
        type_id = self._enums.get(enum)
        return None if type_id is None else self._btf.enumerators(type_id).get(name)

    def _find(self, type_id: int, field: str) -> int | None:
        """Also in what has no name of its own."""
        for member in self._btf.members(type_id):
            if member.name == field:
                return member.offset
            if member.name:
                continue
            inner_id, inner = self._btf.resolve(member.type_id)
            found = self._find(inner_id, field) if inner.kind in _AGGREGATES else None
            if found is not None:
                return member.offset + found
        return None


def btf_layouts(path: Path) -> BtfLayouts:
    return BtfLayouts(Btf(path.read_bytes()))
