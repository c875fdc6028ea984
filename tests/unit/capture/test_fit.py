"""kernel.h fitted to a kernel: every field at its place, and what is absent said so."""

from __future__ import annotations

import pytest

from tracer.capture.cstructs import enums, structs
from tracer.capture.fit import ABSENT_ALIGNMENT, fitted, wanted

HEADER = """
#define NAME 1
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct inode {
	u16 i_mode;	/* type; and more */
	const struct cred *owner;
	unsigned long first, second;
	char comm[16];
};

/* Until 6.12 */
struct inode___old {
	struct inode *next[];
};
#pragma clang attribute pop
"""


PLACES = {"i_mode": 0, "owner": 40, "first": 48, "second": 56, "comm": 64}


class Layouts:
    typed = True

    def struct_bytes(self, struct: str) -> int | None:
        return 600 if struct == "inode" else None

    def offset(self, struct: str, field: str) -> int | None:
        return PLACES.get(field) if struct == "inode" else None

    def number(self, enum: str, name: str) -> int | None:
        return 23 if (enum, name) == ("controller", "pids") else None


def test_each_field_at_its_place() -> None:
    text = fitted(HEADER, Layouts())
    assert "struct { char before_1[40]; const struct cred *owner; } __attribute__((packed));" in text
    assert "struct { char before_3[56]; unsigned long second; } __attribute__((packed));" in text
    assert "struct { char before_4[64]; char comm[16]; } __attribute__((packed));" in text
    assert text.count("char whole[600];") == 2
    assert "#define NAME 1" in text
    assert "pragma" not in text


def test_what_the_kernel_does_not_have_is_marked() -> None:
    text = fitted(HEADER, Layouts())
    assert f"struct inode *next[] __attribute__((aligned({ABSENT_ALIGNMENT})));" in text
    assert text.count("aligned") == 1
    assert f"#define ABSENT_ALIGNMENT {ABSENT_ALIGNMENT}" in text


def test_numbers_are_the_kernels() -> None:
    text = fitted("enum controller {\n\tpids = 11,\n\tgone = 12,\n};\n", Layouts())
    assert "enum controller {\n\tpids = 23,\n\tgone = -1,\n};" in text


def test_a_suffix_is_no_part_of_the_name() -> None:
    assert wanted(HEADER) == {"inode": ["i_mode", "owner", "first", "second", "comm", "next"]}


def test_what_is_no_plain_declaration_is_refused() -> None:
    with pytest.raises(ValueError, match=r"int \(\*f\)\(void\)"):
        structs("struct x {\n\tint (*f)(void);\n};\n")


def test_enums() -> None:
    assert enums("enum x {\n\tA = 1,\n\tB,\n};\n") == {"x": ["A", "B"]}
