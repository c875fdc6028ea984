"""A detection: one Sigma rule, parsed and compiled once.

The format is Sigma's (https://github.com/SigmaHQ/sigma-specification). Everything wrong with a rule is
reported with its line. A rule for another log source, or one that asks for a field no event has, is not
wrong: it is `Skipped`, with the reason.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator

from tracer.errors import Problem, RuleFileError
from tracer.events import Event, Rule, Violation
from tracer.rules import nodes, sentences
from tracer.rules.auditd import AUDITD
from tracer.rules.conditions import Linked, Name, Not, Selected, Tree, parse_condition
from tracer.rules.fields import Facts, LogSource
from tracer.rules.header import Header, Skipped, parse_header, rule_of
from tracer.rules.items import node_of
from tracer.rules.lines import LINES
from tracer.rules.logsources import LOG_SOURCES
from tracer.rules.nodes import Node, Test
from tracer.rules.parsed import Line, NotHereError
from tracer.rules.prepared import Prepared
from tracer.rules.reads import Names, names_read
from tracer.rules.variables import Variables
from tracer.rules.yamlfile import Document, Place, by_line

_SERVICES = {"auditd": AUDITD}
_FILE_ACCESS = LOG_SOURCES["file_access"]
_NO_PLACEHOLDERS: Variables = {}
_SECTION_KEYS = ("condition", "timeframe", "rules")


_Key = Annotated[str | None, BeforeValidator(lambda key: key or None)]


@dataclass(slots=True)
class Items:
    """Compiled lines of detections, by log source, key and values; and lines that were taken apart before."""

    nodes: dict[tuple[str, str | None, str], Node] = field(default_factory=dict)
    prepared: Prepared = field(default_factory=Prepared)


class LogSourceKeys(BaseModel):
    """What `logsource` says; what is left out is any."""

    category: _Key = None
    product: _Key = None
    service: _Key = None

    def covers(self, other: LogSourceKeys) -> bool:
        """Whether a filter for this log source is one for rules of the other."""
        pairs = (
            (self.category, other.category),
            (self.product, other.product),
            (self.service, other.service),
        )
        return all(own is None or own == theirs for own, theirs in pairs)


class _Header(Header):
    logsource: LogSourceKeys
    detection: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A rule ready to judge; `name` is what correlations may call it, `file` and `line` are its place.

    definition  the rule as it is written, with the filters that apply to it
    reads       the opens for reading that it has to be told of, by name
    """

    rule: Rule
    name: str
    logsource: LogSourceKeys
    source: LogSource
    node: Node
    phrase: str
    file: Path
    line: int
    definition: Any

    @property
    def reads(self) -> Names:
        return (self.node.reads or {}) if self.source is _FILE_ACCESS else {}

    @property
    def test(self) -> Test:
        return self.node.test

    def filtered(self, exception: Node, section: Mapping[str, Any]) -> Detection:
        """The same rule for events that pass `exception`, which `section` says, as well."""
        node = nodes.all_of((self.node, exception))
        return replace(self, node=node, definition=(self.definition, section))

    def violation(self, event: Event, facts: Facts) -> Violation:
        """For an event that passed `test`."""
        matched = tuple(dict.fromkeys(self.node.explain(facts)))
        return Violation(
            self.rule, event, matched, sentences.by_detection(event, self.phrase, self.rule.name)
        )


def compile_detection(
    document: Document, placeholders: Variables = _NO_PLACEHOLDERS, items: Items | None = None
) -> Detection | Skipped:
    """`placeholders` are what `%name%` stands for, `items` the lines that rules share.

    Raises RuleFileError with every problem of the rule.
    """
    header = parse_header(document, _Header)
    reason = _not_ours(header.logsource)
    line = document.line(())
    if reason:
        return Skipped(document.file, line, header.title, reason)
    source = _source_of(header.logsource)
    try:
        node = compile_section(
            document, source, header.detection, "detection", placeholders=placeholders, items=items
        )
    except NotHereError as error:
        return Skipped(document.file, line, header.title, str(error))
    if node is nodes.NEVER:
        absent = ", ".join(sorted(_absent_fields(header.detection, source)))
        reason = f"can never match: Linux events do not have {absent}" if absent else "can never match"
        return Skipped(document.file, line, header.title, reason)
    if source is _FILE_ACCESS and node.reads is None:
        reason = "would need to be told of every open for reading: it names no file and no folder"
        return Skipped(document.file, line, header.title, reason)
    return Detection(
        rule_of(header),
        header.name or "",
        header.logsource,
        source,
        node,
        header.rubicon.summary,
        document.file,
        line,
        document.value,
    )


def compile_section(
    document: Document,
    source: LogSource,
    section: Mapping[str, Any],
    key: str,
    *,
    placeholders: Variables = _NO_PLACEHOLDERS,
    items: Items | None = None,
) -> Node:
    """Definitions and their condition, which stand in the document under `key`.

    Raises RuleFileError, and NotHereError when nothing is wrong but it cannot be judged here.
    """
    compiler = _Compiler(document, source, placeholders, items or Items())
    node = compiler.compile(section, (key,))
    if compiler.problems:
        raise RuleFileError(by_line(compiler.problems))
    if compiler.not_here:
        raise NotHereError(compiler.not_here)
    return node


def _source_of(keys: LogSourceKeys) -> LogSource:
    if keys.service:
        return _SERVICES[keys.service]
    return LOG_SOURCES[keys.category] if keys.category else LINES


def _not_ours(source: LogSourceKeys) -> str:
    """Why a log source does not apply here, "" when it does."""
    if source.product is not None and source.product.lower() != "linux":
        return f"is for product {source.product}"
    if source.service in _SERVICES and source.category is None:
        return ""
    if source.service is not None:
        return f"is for the log of service {source.service}"
    if source.category is None:
        return "" if source.product else "names no product, category or service"
    if source.category not in LOG_SOURCES:
        return f"category {source.category} is not recorded"
    return ""


def _absent_fields(value: Any, source: LogSource) -> set[str]:
    """The fields in a detection that no event has."""
    if isinstance(value, list):
        return {name for item in value for name in _absent_fields(item, source)}
    if not isinstance(value, dict):
        return set()
    found = {key.split("|")[0] for key in value} & source.known_absent
    return found.union(*(_absent_fields(item, source) for item in value.values()))


class _Compiler:
    """Turns a section, `detection` or `filter`, into a node, and collects what is wrong with it."""

    def __init__(self, document: Document, source: LogSource, placeholders: Variables, items: Items) -> None:
        self.document = document
        self.source = source
        self.items = items
        self.placeholders = placeholders
        self.problems: list[Problem] = []
        self.not_here = ""
        self._named: dict[str, Node] = {}

    def compile(self, detection: Mapping[str, Any], place: Place) -> Node:
        if "timeframe" in detection or any("|" in text for text in _conditions(detection)):
            self.not_here = (
                "it counts as rules did before there were correlations (timeframe, or | in a condition)"
            )
            return nodes.NEVER
        names = [name for name in detection if name not in _SECTION_KEYS]
        self._named = {name: self._definition(detection[name], (*place, name)) for name in names}
        conditions = detection.get("condition")
        if not isinstance(conditions, list):
            return self._condition(conditions, (*place, "condition"))
        if not conditions:
            self._report((*place, "condition"), "is empty")
        return nodes.any_of(
            self._condition(text, (*place, "condition", position)) for position, text in enumerate(conditions)
        )

    def _report(self, place: Place, message: str) -> None:
        self.problems.append(self.document.problem(place, message))

    def _definition(self, definition: Any, place: Place) -> Node:
        """A mapping: all of its items. A list of values: keywords. A list of mappings: any of them."""
        if isinstance(definition, dict) and definition:
            return nodes.all_of(self._item(key, values, (*place, key)) for key, values in definition.items())
        if isinstance(definition, list) and any(isinstance(item, dict | list) for item in definition):
            return nodes.any_of(
                self._definition(item, (*place, position)) for position, item in enumerate(definition)
            )
        if definition in (None, {}, []):
            self._report(place, "is empty")
            return nodes.NEVER
        return self._item(None, definition, place)

    def _item(self, key: str | None, values: Any, place: Place) -> Node:
        try:
            return self._shared_item(key, values)
        except NotHereError as error:
            self.not_here = self.not_here or str(error)
            return nodes.NEVER
        except Exception as error:  # noqa: BLE001 - what pySigma makes of a bad rule is any exception
            self._report(place, _message(error))
            return nodes.NEVER

    def _shared_item(self, key: str | None, values: Any) -> Node:
        """The same line of another rule is the same node: of one event it is tested once."""
        name = (self.source.category, key, repr(values))
        node = self.items.nodes.get(name)
        if node is None:
            line = self.items.prepared.line(key, values) or self._parsed_line(key, values)
            node = nodes.shared(node_of(self.source, line), names_read(key, values))
            self.items.nodes[name] = node
        return node

    def _parsed_line(self, key: str | None, values: Any) -> Line:
        from tracer.rules.sigmaline import parse_line

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of expressions that mean something else in a later Python
            return parse_line(key, values, self.placeholders)

    def _condition(self, text: Any, place: Place) -> Node:
        if not isinstance(text, str) or not text.strip():
            self._report(place, "a condition is text, such as: selection and not filter")
            return nodes.NEVER
        try:
            return self._tree(parse_condition(text))
        except Exception as error:  # noqa: BLE001 - likewise
            self._report(place, _message(error))
            return nodes.NEVER

    def _tree(self, tree: Tree) -> Node:
        match tree:
            case Name(name):
                if name not in self._named:
                    raise ValueError(f'names "{name}", which is not defined')
                return self._named[name]
            case Not(child):
                return nodes.negated(self._tree(child))
            case Selected(pattern):
                its = self._selected(pattern)
            case Linked(children):
                its = [self._tree(child) for child in children]
        return nodes.all_of(its) if tree.all else nodes.any_of(its)

    def _selected(self, pattern: str) -> list[Node]:
        """What `1 of selection_*` or `all of them` speaks of; names that begin with "_" only when spelt."""
        expression = ".*" if pattern == "them" else re.escape(pattern).replace(r"\*", ".*")
        found = [
            node
            for name, node in self._named.items()
            if re.fullmatch(expression, name) and (not name.startswith("_") or pattern.startswith("_"))
        ]
        if not found:
            raise ValueError(f'"of {pattern}" names nothing that is defined')
        return found


def _conditions(detection: Mapping[str, Any]) -> list[str]:
    found = detection.get("condition")
    return [text for text in (found if isinstance(found, list) else [found]) if isinstance(text, str)]


def _message(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    first = error.args[0] if error.args and hasattr(error, "source") else error  # a SigmaError's is its text
    text = " ".join(str(first).split())
    return text or type(error).__name__
