"""Declarations in the headers of the probes, read as text: just the plain C that those are written in."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_STRUCT = re.compile(r"^struct (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_ENUM = re.compile(r"^enum (\w+) \{\n(.*?)^\};", re.MULTILINE | re.DOTALL)
_NUMBERED = re.compile(r"^(\t(\w+) = )\d+", re.MULTILINE)
_ENUMERATOR = re.compile(r"^\t(\w+)", re.MULTILINE)
_FIELD = re.compile(r"^\t([^;]+);", re.MULTILINE)
_DECLARATOR = re.compile(r"^(.*?)(\**)(\w+)(\[\w*\])?$")


@dataclass(frozen=True, slots=True)
class Field:
    """`kind` is the type, `array` the brackets and what they hold, "" when it is none."""

    kind: str
    stars: str
    name: str
    array: str

    @property
    def declaration(self) -> str:
        return f"{self.kind} {self.stars}{self.name}{self.array}"


def without_comments(text: str) -> str:
    return _COMMENT.sub("", text)


def structs(text: str) -> dict[str, list[Field]]:
    """The fields of each struct of a text without comments."""
    return {name: list(_fields(body)) for name, body in _STRUCT.findall(text)}


def enums(text: str) -> dict[str, list[str]]:
    """The names of each enum."""
    return {name: _ENUMERATOR.findall(body) for name, body in _ENUM.findall(text)}


def renumbered(text: str, number: Callable[[str, str], int]) -> str:
    """The text with `number(enum, name)` for each name that had a number."""

    def enum(found: re.Match[str]) -> str:
        return _NUMBERED.sub(lambda each: f"{each[1]}{number(found[1], each[2])}", found[0])

    return _ENUM.sub(enum, text)


def each_struct(text: str) -> Iterator[tuple[str, str]]:
    """(whole declaration, name)."""
    for found in _STRUCT.finditer(text):
        yield found[0], found[1]


def _fields(body: str) -> Iterator[Field]:
    """Several may share a type."""
    for each in _FIELD.findall(body):
        first, *others = each.split(",")
        kind, *declarator = _parts(first)
        for stars, name, array in (declarator, *(_parts(other)[1:] for other in others)):
            yield Field(kind, stars, name, array)


def _parts(declaration: str) -> list[str]:
    found = _DECLARATOR.match(declaration.strip())
    if found is None:
        raise ValueError(f"not a declaration that is understood: {declaration.strip()}")
    return [found[1].strip(), found[2], found[3], found[4] or ""]
