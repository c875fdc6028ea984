"""Globs as tables: matched here as called.h does, and held against fnmatch."""

from __future__ import annotations

import struct
from fnmatch import fnmatchcase

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracer.capture.called import tables


def matches(pattern: str, name: str) -> bool:
    *accepts, repeats, tokens, scope = struct.unpack("<259I", tables(pattern, 7))
    assert scope == 7
    matched = 1
    for byte in name.encode("latin-1"):
        matched = (matched & accepts[byte]) << 1 | matched & repeats
    return bool(matched >> tokens & 1)


PATTERNS = st.text("ab*?[]!-", max_size=10)
NAMES = st.text("ab[]!-*", max_size=8)


@settings(deadline=None)
@given(PATTERNS, NAMES)
@example("a*b", "aab")
@example("*a*", "bab")
@example("[!a]b", "bb")
@example("[]]", "]")
@example("[", "[")
def test_as_fnmatch(pattern: str, name: str) -> None:
    assert matches(pattern, name) == fnmatchcase(name, pattern)


def test_names_are_bytes() -> None:
    assert struct.unpack_from("<256I", tables("\u00e9", 1))[0xC3] == 1


def test_what_no_name_matches() -> None:
    assert matches("*" + "a" * 15, "a" * 15)
    with pytest.raises(ValueError, match="16 bytes"):
        tables("a" * 16, 1)
