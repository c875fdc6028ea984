"""YAML with the line of every value: what policies and rules are read from.

A rule file may come from anywhere, so its size, its depth and what its aliases expand to are bounded, and
whatever is wrong with it becomes a `Problem` with the line.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import yaml
from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tracer.errors import Problem, RuleFileError

MAX_FILE_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 20_000  # of one document, an alias counted as often as it is used

NOT_TEXT = "must be text (in quotes, when it looks like a number)"

_MESSAGES = {
    "extra_forbidden": "is not a key that is known here",
    "missing": "is missing",
    "string_type": NOT_TEXT,
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a section with keys",
    "model_type": "must be a section with keys",
}

Place = tuple[str | int, ...]
"""Where a value stands in a document: keys and list positions from the top, as pydantic's `loc`."""


def field_name(place: Place) -> str:
    """`("files", "write", 2)` as `files.write[2]`."""
    text = ""
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: plain values, and the line (from 1) of each place in it."""

    file: Path
    value: Any
    lines: Mapping[Place, int]

    def line(self, place: Place) -> int:
        """The line of `place`, or of the nearest place around it that is written down."""
        for length in range(len(place), -1, -1):
            found = self.lines.get(place[:length])
            if found is not None:
                return found
        return 0

    def problem(self, place: Place, message: str) -> Problem:
        return Problem(self.file, self.line(place), field_name(place), message)

    def invalid(self, details: ErrorDetails, model: type[BaseModel]) -> Problem:
        """What pydantic found wrong with the document, which is to be a `model`, where it stands."""
        message = _MESSAGES.get(details["type"], details["msg"])
        if details["type"] == "value_error":
            message = str(details["ctx"]["error"])
        if details["type"] == "extra_forbidden":
            close = difflib.get_close_matches(
                str(details["loc"][-1]), _keys_at(model, details["loc"][:-1]), 1
            )
            message += f'; did you mean "{close[0]}"?' if close else ""
        return self.problem(details["loc"], message)


def _keys_at(model: type[BaseModel], place: Place) -> list[str]:
    """The keys of the section at `place` of a document that is a `model`; none where it has no section."""
    for step in place:
        field = model.model_fields.get(str(step))
        inner = () if field is None else (field.annotation, *get_args(field.annotation))
        sections = [each for each in inner if isinstance(each, type) and issubclass(each, BaseModel)]
        if not sections:
            return []
        model = sections[0]
    return [field.alias or name for name, field in model.model_fields.items()]


def by_line(problems: Iterable[Problem]) -> list[Problem]:
    return sorted(problems, key=lambda problem: problem.line)


def read_bytes(path: Path) -> bytes:
    """The bytes of a rule file. Raises RuleFileError when it cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise RuleFileError([Problem(path, 0, "", f"cannot be read: {reason}")]) from None
    if len(data) > MAX_FILE_BYTES:
        raise RuleFileError([Problem(path, 0, "", f"is larger than {MAX_FILE_BYTES >> 20} MiB")])
    return data


def parse(path: Path, data: bytes) -> list[Document]:
    """The documents in `data`; empty ones are left out. Raises RuleFileError with every problem found."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RuleFileError([Problem(path, line, "", "is not UTF-8")]) from None
    try:
        roots = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.MarkedYAMLError as error:
        raise RuleFileError([_syntax_problem(path, error)]) from None
    except (yaml.YAMLError, ValueError) as error:
        message = f"is not YAML: {_one_line(str(error))}"
        raise RuleFileError([Problem(path, 0, "", message)]) from None
    builders = [_Builder(path, root) for root in roots]
    problems = [problem for builder in builders for problem in builder.problems]
    if problems:
        raise RuleFileError(problems)
    return [builder.document for builder in builders if builder.document.value is not None]


_PLAIN = re.compile(r"(?:[/\w.]|\$\{\w+\})(?:[\w./+@*,-]|:(?=\w)|\$\{\w+\})*", re.ASCII)
_MARKS_OF_FLOW = frozenset("{},:")
_TEXT_TAG = "tag:yaml.org,2002:str"
_resolver = yaml.resolver.Resolver()


def scalar(text: str, *, in_flow: bool = False) -> str:
    """`text` as YAML has it, in one line of ASCII, in quotes where it could be read as something else.

    `in_flow`: between brackets, where braces, commas and colons are marks. Raises ValueError for bytes that
    are not text, which no YAML can hold.
    """
    text.encode()  # of surrogates: UnicodeEncodeError, which is a ValueError
    is_plain = _PLAIN.fullmatch(text) and not (in_flow and _MARKS_OF_FLOW.intersection(text))
    if is_plain and _resolver.resolve(yaml.ScalarNode, text, (True, False)) == _TEXT_TAG:  # type: ignore[no-untyped-call]
        return text
    quoted: str = yaml.dump(text, default_style='"', width=1 << 20, allow_unicode=False)
    return quoted.strip()


def _syntax_problem(path: Path, error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    message = f"is not YAML: {error.problem or error.context or 'syntax error'}"
    if error.context and "alias" in error.context:
        message += ' (a value that begins with "*" must be quoted)'
    return Problem(path, mark.line + 1 if mark else 0, "", _one_line(message))


def _one_line(text: str) -> str:
    return " ".join(text.split())


class _TooMuchError(Exception):
    """The document is deeper or larger than any rule."""


class _Builder:
    """One document made from its nodes, with the lines and the problems met on the way."""

    def __init__(self, path: Path, root: yaml.Node) -> None:
        self.path = path
        self.problems: list[Problem] = []
        self._lines: dict[Place, int] = {(): root.start_mark.line + 1}
        self._scalars = yaml.constructor.SafeConstructor()
        self._nodes = 0
        try:
            value = self._value(root, ())
        except _TooMuchError:
            value = None
            message = "is nested too deeply, or its aliases expand to too much"
            self.problems.append(Problem(path, root.start_mark.line + 1, "", message))
        self.document = Document(path, value, self._lines)

    def _value(self, node: yaml.Node, place: Place) -> Any:
        self._nodes += 1
        if len(place) > MAX_DEPTH or self._nodes > MAX_NODES:
            raise _TooMuchError
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, place)
        return self._scalar(node, place)

    def _sequence(self, node: yaml.SequenceNode, place: Place) -> list[Any]:
        values = []
        for position, item in enumerate(node.value):
            self._lines[*place, position] = item.start_mark.line + 1
            values.append(self._value(item, (*place, position)))
        return values

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, place)
            if key is None:
                continue
            inner = (*place, key)
            if key in values:
                first = self._lines[inner]
                self._report(key_node, inner, f"is there twice, the first time in line {first}")
                continue
            self._lines[inner] = key_node.start_mark.line + 1
            values[key] = self._value(value_node, inner)
        return values

    def _key(self, node: yaml.Node, place: Place) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._report(node, place, "a key must be plain text")
            return None
        if node.tag == "tag:yaml.org,2002:merge":
            self._report(node, place, 'merge keys ("<<") are not supported')
            return None
        return str(node.value)

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        if node.tag == _TEXT_TAG:
            return node.value
        if not node.tag.startswith("tag:yaml.org,2002:"):
            message = f'unknown tag {node.tag}: a value that begins with "!" must be quoted'
            self._report(node, place, message)
            return None
        try:
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError, LookupError, TypeError) as error:
            self._report(node, place, f"is not a value: {_one_line(str(error))}")
            return None

    def _report(self, node: yaml.Node, place: Place, message: str) -> None:
        self.problems.append(Problem(self.path, node.start_mark.line + 1, field_name(place), message))
