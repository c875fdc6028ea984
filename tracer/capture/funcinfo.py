"""What the kernel wants to know of a program's functions: which it verifies on their own, and what they take.

That is type information (BTF, Documentation/bpf/btf.rst in the kernel). Of a struct behind a pointer the
kernel asks nothing but its size here, so none has members.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from tracer.capture.btf import MAGIC, BtfKind

_STATIC, _GLOBAL = 0, 1  # enum btf_func_linkage
_WORD = struct.Struct("<III")


class FunctionTypes:
    """The types of functions; `number` gives the id of one that is verified where it is called."""

    def __init__(self) -> None:
        self._strings = bytearray(b"\0")
        self._types: list[bytes] = []
        self._pointers: dict[str, int] = {}
        self._long = self._add("long", BtfKind.INT, 0, 8, struct.pack("<I", 1 << 24 | 64))
        self.local = self._function("local", self._prototype(()), _STATIC)

    def verified_alone(self, name: str, parameters: Sequence[str], sizes: Mapping[str, int]) -> int:
        """The type id of a function; `parameters` are types behind pointers, or "" for a number."""
        types = [self._pointer(each, sizes[each]) if each else self._long for each in parameters]
        return self._function(name, self._prototype(types), _GLOBAL)

    def _function(self, name: str, prototype: int, linkage: int) -> int:
        return self._add(name, BtfKind.FUNC, linkage, prototype)

    def _prototype(self, parameters: Sequence[int]) -> int:
        name = self._string("p") if parameters else 0
        tail = b"".join(struct.pack("<II", name, each) for each in parameters)
        return self._add("", BtfKind.FUNC_PROTO, len(parameters), self._long, tail)

    def _pointer(self, name: str, size: int) -> int:
        if name not in self._pointers:
            pointed = self._add(name.removeprefix("struct "), BtfKind.STRUCT, 0, size)
            self._pointers[name] = self._add("", BtfKind.PTR, 0, pointed)
        return self._pointers[name]

    def _add(self, name: str, kind: BtfKind, members: int, size_or_type: int, tail: bytes = b"") -> int:
        self._types.append(_WORD.pack(self._string(name), kind << 24 | members, size_or_type) + tail)
        return len(self._types)

    def _string(self, text: str) -> int:
        if not text:
            return 0
        self._strings += text.encode("ascii") + b"\0"
        return len(self._strings) - len(text) - 1

    def data(self) -> bytes:
        types = b"".join(self._types)
        header = struct.pack("<HBBIIIII", MAGIC, 1, 0, 24, 0, len(types), len(types), len(self._strings))
        return header + types + bytes(self._strings)
