"""probes/kernel.h, fitted to the kernel at hand before it is compiled: for a loader that does not relocate.

Each struct becomes a union, in which every field has a struct of its own with the right distance before it:

    struct inode {                struct inode { union {
            u16 i_mode;                   struct { char before_0[0]; u16 i_mode; } __attribute__((packed));
            u32 i_flags;    ->            struct { char before_1[12]; u32 i_flags; } __attribute__((packed));
    };                                    char whole[600];
                                  }; };

A field that the kernel does not have lies where nothing can be read, and is aligned as no other is, which
is how bpf_core_field_exists() knows it (probes/loader.h). Numbers of an enum are the kernel's, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Protocol

from tracer.capture.cstructs import Field, each_struct, renumbered, structs, without_comments

ABSENT_ALIGNMENT = 4096
_ABSENT_OFFSET = 0x7000_0000
_PRAGMA = re.compile(r"^#pragma clang attribute .*$", re.MULTILINE)
_SUFFIX = "___"  # what follows it only tells two declarations apart


class Layouts(Protocol):
    """The structs of a kernel; sizes and offsets in bytes, None for what it does not have.

    typed   whether the kernel has type information (BTF), which some helpers of programs want of it
    """

    typed: bool

    def struct_bytes(self, struct: str) -> int | None: ...

    def offset(self, struct: str, field: str) -> int | None: ...

    def number(self, enum: str, name: str) -> int | None: ...


def fitted(header: str, layouts: Layouts) -> str:
    """The text of kernel.h for that kernel."""
    text = _PRAGMA.sub("", without_comments(header))
    text = renumbered(text, lambda enum, name: _or_absent(layouts.number(enum, name)))
    fields = structs(text)
    for declaration, struct in list(each_struct(text)):
        text = text.replace(declaration, "\n".join(_fit(struct, fields[struct], layouts)))
    return f"#define ABSENT_ALIGNMENT {ABSENT_ALIGNMENT}\n{text}"


def wanted(header: str) -> dict[str, list[str]]:
    """The structs of kernel.h, by their names in the kernel, and the fields that are read of each."""
    found: dict[str, list[str]] = {}
    for struct, fields in structs(without_comments(header)).items():
        found.setdefault(_name(struct), []).extend(each.name for each in fields)
    return found


def _or_absent(number: int | None) -> int:
    return -1 if number is None else number


def _name(struct: str) -> str:
    return struct.partition(_SUFFIX)[0]


def _fit(struct: str, fields: Sequence[Field], layouts: Layouts) -> Iterator[str]:
    name = _name(struct)
    yield f"struct {struct} {{ union {{"
    for place, field in enumerate(fields):
        offset, mark = layouts.offset(name, field.name), ""
        if offset is None:
            offset, mark = _ABSENT_OFFSET, f" __attribute__((aligned({ABSENT_ALIGNMENT})))"
        inner = f"char before_{place}[{offset}]; {field.declaration}{mark};"
        yield f"\tstruct {{ {inner} }} __attribute__((packed));"
    yield f"\tchar whole[{layouts.struct_bytes(name) or 1}];"
    yield "}; };"
