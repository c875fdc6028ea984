"""One more line in a policy file, the rest of it as its author wrote it.

The file is not written anew from what it says, which would lose comments and order: the place is found by the
parser's marks, and the line put there.
"""

from __future__ import annotations

import difflib
import os
import stat
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from tracer.errors import UsageError
from tracer.rules.inheritance import LISTS, read_policy
from tracer.rules.variables import Given
from tracer.rules.yamlfile import Document, parse, read_bytes, scalar


@dataclass(frozen=True, slots=True)
class Amendment:
    """A file before and after."""

    path: Path
    before: str
    after: str

    def write(self) -> None:
        """In place of the file as it was, with its mode, in one step; a link to it stays one.

        Raises OSError.
        """
        path = self.path.resolve(strict=True)
        mode = path.stat().st_mode
        descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(self.after)
                os.fchmod(file.fileno(), stat.S_IMODE(mode))
                os.fsync(file.fileno())
            os.replace(new, path)
        except BaseException:
            os.unlink(new)
            raise

    @property
    def diff(self) -> Sequence[str]:
        """Unified, without line ends and without the two lines of file names."""
        lines = difflib.unified_diff(self.before.splitlines(), self.after.splitlines(), n=3, lineterm="")
        return list(lines)[2:]


def amend(path: Path, place: str, entry: str, given: Given) -> Amendment:
    """The policy at `path` with `entry` in the list `place` (one of LISTS). Nothing is written.

    Raises UsageError when the file has no room for it in a way that can be told, RuleFileError when it would
    not be a policy any more, or is none.
    """
    if place not in LISTS:
        raise UsageError(f"no list of a policy is called {place}; there are {', '.join(LISTS)}")
    read_policy(path, given)
    before = read_bytes(path).decode()
    section, _dot, name = place.partition(".")
    try:
        after = _with_entry(before, section, name, entry)
    except ValueError:
        raise UsageError("it has bytes that are not text, which no policy can hold") from None

    def read(which: Path, _name: str) -> list[Document]:
        return parse(which, after.encode() if which == path else read_bytes(which))

    read_policy(path, given, read)
    return Amendment(path, before, after)


def _with_entry(text: str, section: str, name: str, entry: str) -> str:
    line = f"- {scalar(entry)}"
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found = _value(root, section)
    if found is None:
        return f"{_ended(text)}{section}:\n  {name}:\n    {line}\n"
    if not isinstance(found, yaml.MappingNode) or found.flow_style:
        raise UsageError(
            f"{section} is written in one line: put it in lines of its own, or add {scalar(entry)} there"
        )
    entries = _value(found, name)
    if entries is None:
        column = found.value[0][0].start_mark.column
        indent = " " * column
        return _inserted(text, found.value[0][0].start_mark.index, f"{name}:\n{indent}  {line}\n{indent}")
    if not isinstance(entries, yaml.SequenceNode):
        raise UsageError(f"{section}.{name} is no list of lines")
    return _in_list(text, entries, entry)


def _in_list(text: str, entries: yaml.SequenceNode, entry: str) -> str:
    if entries.flow_style:
        value = scalar(entry, in_flow=True)
        place = entries.end_mark.index - 1
        last = entries.value[-1].end_mark.index if entries.value else None
        return _inserted(text, place if last is None else last, f", {value}" if entries.value else value)
    last_entry = entries.value[-1]
    column = entries.start_mark.column
    end = text.find("\n", last_entry.end_mark.index)
    line = f"{' ' * column}- {scalar(entry)}\n"
    return f"{_ended(text)}{line}" if end < 0 else _inserted(text, end + 1, line)


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _inserted(text: str, place: int, piece: str) -> str:
    return text[:place] + piece + text[place:]


def _ended(text: str) -> str:
    return text if not text or text.endswith("\n") else f"{text}\n"
