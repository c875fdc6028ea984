"""A detection: one Sigma rule, parsed and compiled once.

The format is Sigma's (https://github.com/SigmaHQ/sigma-specification). One key is our own and optional, for
Sigma has no word for what is to be done:

    rubicon:
      summary: opened a reverse tunnel    verb and object of the violation's sentence
      on_violation: kill                  alert (when nothing is said), freeze or kill, as in a policy

Everything wrong with a rule is reported with its line. A rule for another log source, or one that asks for a
field no event has, is not wrong: it is `Skipped`, with the reason.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from sigma.conditions import (
    ConditionAND,
    ConditionIdentifier,
    ConditionNOT,
    ConditionSelector,
    SigmaCondition,
)
from sigma.exceptions import SigmaError
from sigma.rule.detection import EmptySigmaDetections

from tracer.errors import Problem, RuleFileError
from tracer.events import Event, Level, Response, Rule, RuleKind, Violation
from tracer.rules import nodes, sentences
from tracer.rules.fields import LOG_SOURCES, Facts, LogSource
from tracer.rules.items import compile_item
from tracer.rules.nodes import Node
from tracer.rules.yamlfile import Document, Place, by_line

_TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)
_OTHER_KINDS = {
    "correlation": "correlation rules are not available yet",
    "filter": "Sigma filters are not available yet",
    "action": "rule collections (action: global, reset, repeat) are not supported; write whole rules",
}


def _check_tag(tag: str) -> str:
    if "." not in tag:
        raise ValueError(f'"{tag}" is not a tag: it has no namespace, as in "attack.t1572"')
    return tag


def _check_response(response: object) -> object:
    if response == "deny":
        raise ValueError('"deny" is for policies: a detection matches what has been done')
    if response not in ("alert", "freeze", "kill"):
        raise ValueError(f"{response!r} is not one of alert, freeze, kill")
    return response


def _lowered(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class _LogSource(BaseModel):
    category: str | None = None
    product: str | None = None
    service: str | None = None


class _Own(BaseModel):
    model_config = ConfigDict(extra="forbid")

    summary: Annotated[str, Field(max_length=100)] = ""
    on_violation: Annotated[Response, BeforeValidator(_check_response)] = Response.ALERT


class _Header(BaseModel):
    """The keys of a Sigma rule that are used here; Sigma allows any others."""

    title: Annotated[str, Field(min_length=1, max_length=256)]
    id: UUID | None = None
    level: Annotated[Level | None, BeforeValidator(_lowered)] = None
    description: str | None = None
    tags: list[Annotated[str, AfterValidator(_check_tag)]] | None = None
    logsource: _LogSource
    detection: dict[str, Any]
    rubicon: _Own = _Own()


@dataclass(frozen=True, slots=True)
class Skipped:
    """A rule that does not apply here, and why."""

    file: Path
    line: int
    title: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """A rule ready to judge; `file` and `line` are where it was read from."""

    rule: Rule
    source: LogSource
    test: Callable[[Facts], bool]
    node: Node
    phrase: str
    file: Path
    line: int

    def violation(self, event: Event, facts: Facts) -> Violation:
        """For an event that passed `test`."""
        matched = tuple(dict.fromkeys(self.node.explain(facts)))
        return Violation(
            self.rule, event, matched, sentences.by_detection(event, self.phrase, self.rule.name)
        )


def compile_detection(document: Document) -> Detection | Skipped:
    """Raises RuleFileError with every problem of the rule."""
    header = _header(document)
    reason = _not_ours(header.logsource)
    line = document.line(())
    if reason:
        return Skipped(document.file, line, header.title, reason)
    source = LOG_SOURCES[header.logsource.category or ""]
    compiler = _Compiler(document, source)
    node = compiler.compile(header.detection)
    if compiler.problems:
        raise RuleFileError(by_line(compiler.problems))
    if node is nodes.NEVER:
        absent = ", ".join(sorted(_absent_fields(header.detection, source)))
        reason = f"can never match: Linux events do not have {absent}" if absent else "can never match"
        return Skipped(document.file, line, header.title, reason)
    return Detection(_rule(header), source, node.test, node, header.rubicon.summary, document.file, line)


def _header(document: Document) -> _Header:
    if not isinstance(document.value, dict):
        raise RuleFileError([document.problem((), "a Sigma rule is a mapping of keys")])
    for key, message in _OTHER_KINDS.items():
        if key in document.value:
            raise RuleFileError([document.problem((key,), message)])
    try:
        return _Header.model_validate(document.value)
    except ValidationError as error:
        problems = [document.invalid(details) for details in error.errors(include_url=False)]
        raise RuleFileError(by_line(problems)) from None


def _not_ours(source: _LogSource) -> str:
    """Why a log source does not apply here, "" when it does."""
    if source.product is not None and source.product.lower() != "linux":
        return f"is for product {source.product}"
    if source.service is not None:
        return f"is for the log of service {source.service}"
    if source.category is None:
        return "names no category"
    if source.category not in LOG_SOURCES:
        return f"category {source.category} is not recorded"
    return ""


def _rule(header: _Header) -> Rule:
    tags = (_TECHNIQUE.fullmatch(tag) for tag in header.tags or ())
    return Rule(
        id=str(header.id) if header.id else header.title,
        name=header.title,
        level=header.level or Level.MEDIUM,
        kind=RuleKind.DETECTION,
        description=(header.description or "").strip(),
        techniques=tuple(dict.fromkeys(found[1].upper() for found in tags if found)),
        response=header.rubicon.on_violation,
    )


def _absent_fields(value: Any, source: LogSource) -> set[str]:
    """The fields in a detection that no event has."""
    if isinstance(value, list):
        return {name for item in value for name in _absent_fields(item, source)}
    if not isinstance(value, dict):
        return set()
    found = {key.split("|")[0] for key in value} & source.known_absent
    return found.union(*(_absent_fields(item, source) for item in value.values()))


class _Compiler:
    """Turns the `detection` of one rule into a node, and collects what is wrong with it on the way."""

    def __init__(self, document: Document, source: LogSource) -> None:
        self.document = document
        self.source = source
        self.problems: list[Problem] = []
        self._named: dict[str, Node] = {}

    def compile(self, detection: Mapping[str, Any]) -> Node:
        place: Place = ("detection",)
        if "timeframe" in detection:
            self._report((*place, "timeframe"), "counting over time is not available yet")
        names = [name for name in detection if name not in ("condition", "timeframe")]
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
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of expressions that mean something else in a later Python
                return compile_item(self.source, key, values)
        except Exception as error:  # noqa: BLE001 - what pySigma makes of a bad rule is any exception
            self._report(place, _message(error))
            return nodes.NEVER

    def _condition(self, text: Any, place: Place) -> Node:
        if not isinstance(text, str) or not text.strip():
            self._report(place, "a condition is text, such as: selection and not filter")
            return nodes.NEVER
        try:
            return self._tree(SigmaCondition(text, EmptySigmaDetections()).parse(postprocess=False))
        except Exception as error:  # noqa: BLE001 - likewise
            self._report(place, _message(error))
            return nodes.NEVER

    def _tree(self, item: Any) -> Node:
        if isinstance(item, ConditionIdentifier):
            if item.identifier not in self._named:
                raise ValueError(f'names "{item.identifier}", which is not defined')
            return self._named[item.identifier]
        if isinstance(item, ConditionSelector):
            linked = nodes.all_of if item.cond_class is ConditionAND else nodes.any_of
            return linked(self._selected(item.pattern))
        if isinstance(item, ConditionNOT):
            return nodes.negated(self._tree(item.args[0]))
        linked = nodes.all_of if isinstance(item, ConditionAND) else nodes.any_of
        return linked([self._tree(argument) for argument in item.args])

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


def _message(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "is nested too deeply"
    text = " ".join(str(error.args[0] if isinstance(error, SigmaError) and error.args else error).split())
    return text or type(error).__name__
