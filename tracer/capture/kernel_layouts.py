"""Where the kernel keeps what: the structs that `fit` asks for, from BTF; and where its headers are."""

from __future__ import annotations

import os
from pathlib import Path

from tracer.capture.btf import Btf, BtfKind

MODULES = Path("/lib/modules")
CONFIGURED = "include/generated/autoconf.h"  # headers without it belong to no kernel
_AGGREGATES = (BtfKind.STRUCT, BtfKind.UNION)


class BtfLayouts:
    """See `fit.Layouts`. `typed`: these are the kernel's own types, which it knows as well."""

    def __init__(self, btf: Btf, *, typed: bool = True) -> None:
        self._btf, self.typed = btf, typed
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


def headers_remedy() -> str:
    """The command that gives headers, as Debian names them."""
    return f"apt-get install linux-headers-{os.uname().release} clang"


def headers_place(modules: Path = MODULES) -> Path:
    """Where the headers of the running kernel are, if they are installed."""
    return modules / os.uname().release / "build"


def find_headers(modules: Path = MODULES) -> Path | None:
    build = headers_place(modules)
    return build if (build / CONFIGURED).is_file() else None
