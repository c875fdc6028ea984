"""A Sigma correlation: a rule over several events (Sigma Correlation Rules Specification 2.1.0).

    title: many ports of one host
    correlation:
      type: value_count              event_count, value_count, temporal, temporal_ordered; value_sum,
      rules: [connect_refused]       value_avg, value_median, value_percentile
      group-by: [process.entity_id]  one window for each combination of values; also through `aliases`
      timespan: 1m
      condition: {gte: 20, field: DestinationPort}

What it refers to, by id or by name, are detections or other correlations; these say nothing by themselves
then, unless `generate: true`. The violation is of the event that made it true, and names the others.

A stream has no end of a time span at which to look back. Conditions that only the end can answer, that there
were fewer than so many, or that something did not come, are not judged: such a rule is `Skipped`.

Memory is bounded: GROUPS_MAX windows for each correlation; the least lately used is forgotten, and counted.
"""

from __future__ import annotations

import math
import operator
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from tracer.errors import RuleFileError
from tracer.events import Event, Match, Rule, Violation
from tracer.rules import sentences
from tracer.rules.conditions import Linked, Name, Not, Tree, parse_references
from tracer.rules.fields import Facts, LogSource
from tracer.rules.header import Header, Skipped, listed, parse_header, rule_of
from tracer.rules.windows import (
    MEMBERS_MAX,
    Count,
    Hit,
    InOrder,
    Measure,
    Together,
    Values,
    Window,
    average,
    percentile,
)
from tracer.rules.yamlfile import Document

GROUPS_MAX = 10_000
MEMBERS_NAMED = 20  # of the events of a violation

_NS = 1_000_000_000
_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
    "eq": operator.eq,
    "neq": operator.ne,
}
_MEASURES: Mapping[str, Callable[[Sequence[float]], float] | None] = {
    "value_sum": math.fsum,
    "value_avg": average,
    "value_median": percentile(50),
    "value_percentile": None,  # which one says the rule
}
_NEEDS_THE_END = "can only be judged at the end of a time span, which a stream does not have"


class _Condition(BaseModel):
    model_config = ConfigDict(extra="forbid")

    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None
    eq: float | None = None
    neq: float | None = None
    field: str | None = None
    percentile: Annotated[float, Field(ge=0, le=100)] = 50

    @model_validator(mode="after")
    def _one_operator(self) -> _Condition:
        if len([name for name in _OPERATORS if getattr(self, name) is not None]) != 1:
            raise ValueError(f"takes exactly one of {', '.join(_OPERATORS)}")
        return self

    @property
    def comparison(self) -> tuple[str, float]:
        return next((name, bound) for name in _OPERATORS if (bound := getattr(self, name)) is not None)


_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800, "M": 2_629_746, "y": 31_556_952}


def _seconds(text: object) -> object:
    """As the specification has them; a month and a year are what they are on average."""
    found = re.fullmatch(r"([0-9]+)([smhdwMy])", text) if isinstance(text, str) else None
    if found is None or not int(found[1]):
        raise ValueError(f"{text!r} is not a time span such as 30s, 5m, 1h or 7d")
    return int(found[1]) * _UNITS[found[2]]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    type: Literal[
        "event_count",
        "value_count",
        "temporal",
        "temporal_ordered",
        "value_sum",
        "value_avg",
        "value_median",
        "value_percentile",
    ]
    rules: Annotated[list[str], BeforeValidator(listed)] = []
    generate: bool = False
    group_by: Annotated[list[str], BeforeValidator(listed), Field(alias="group-by")] = []
    timespan: Annotated[int, BeforeValidator(_seconds)]
    aliases: dict[str, dict[str, str]] = {}
    condition: _Condition | str | None = None


class _Header(Header):
    correlation: _Body


@dataclass(frozen=True, slots=True, eq=False)
class Correlation:
    """One, compiled but for the rules it refers to; `references` are as written, ids or names."""

    rule: Rule
    name: str
    phrase: str
    references: tuple[str, ...]
    generate: bool
    group_by: tuple[str, ...]
    counted: str  # the field whose values count, "" when events do
    aliases: Mapping[str, Mapping[str, str]]
    window: Callable[[], Window]
    what: str  # the condition, in words
    document: Document
    file: Path
    line: int

    def field_of(self, name: str, reference: str) -> str:
        """What `name` in `group-by` is called in events of the rule referred to."""
        return self.aliases.get(name, {}).get(reference, name)


def compile_correlation(document: Document) -> Correlation | Skipped:
    """Raises RuleFileError with every problem of the rule."""
    header = parse_header(document, _Header)
    body = header.correlation
    try:
        references, window, what = _window(body)
    except _NeedsTheEndError:
        reason = f"its condition {_NEEDS_THE_END}"
        return Skipped(document.file, document.line(()), header.title, reason)
    except ValueError as error:
        raise RuleFileError([document.problem(("correlation", "condition"), str(error))]) from None
    counted = body.condition.field if isinstance(body.condition, _Condition) else None
    return Correlation(
        rule_of(header),
        header.name or "",
        header.rubicon.summary,
        tuple(references),
        body.generate,
        tuple(body.group_by),
        counted or "",
        body.aliases,
        window,
        what,
        document,
        document.file,
        document.line(()),
    )


class _NeedsTheEndError(Exception):
    """The condition looks back from the end of a time span."""


def _window(body: _Body) -> tuple[list[str], Callable[[], Window], str]:
    """The references, what makes a window, and the condition in words. Raises ValueError."""
    span_ns = body.timespan * _NS
    if body.type in ("temporal", "temporal_ordered"):
        return _temporal(body, span_ns)
    if not body.rules:
        raise ValueError("names no rules")
    if not isinstance(body.condition, _Condition):
        raise ValueError(f"of {body.type} is a mapping, such as {{gte: 10}}")  # noqa: TRY004  the file is wrong
    name, bound = body.condition.comparison
    if body.type != "event_count" and not body.condition.field:
        raise ValueError(f"of {body.type} names the field whose values count")
    within = f"within {_words(body.timespan)}"
    if body.type in _MEASURES:
        of = _MEASURES.get(body.type) or percentile(body.condition.percentile)
        compare = _OPERATORS[name]
        what = f"{body.type.removeprefix('value_')} of {body.condition.field} {name} {bound:g} {within}"
        return body.rules, lambda: Measure(span_ns, of, lambda value: compare(value, bound)), what
    least = _least(name, bound)
    if body.type == "event_count":
        return body.rules, lambda: Count(span_ns, least), f"{least} times {within}"
    return body.rules, lambda: Values(span_ns, least), f"{least} values of {body.condition.field} {within}"


def _least(name: str, bound: float) -> int:
    """With how many the condition comes true for the first time."""
    if name not in ("gt", "gte", "eq") or bound != int(bound) or bound < 0:
        raise _NeedsTheEndError
    least = max(1, int(bound) + (name == "gt"))
    if least > MEMBERS_MAX:
        raise ValueError(f"counts to {least}: more than {MEMBERS_MAX} are not remembered")
    return least


def _temporal(body: _Body, span_ns: int) -> tuple[list[str], Callable[[], Window], str]:
    ordered = body.type == "temporal_ordered"
    within = f"within {_words(body.timespan)}"
    if isinstance(body.condition, str):
        parsed = _parsed(body.condition)
        references = body.rules or list(dict.fromkeys(_names(parsed)))
        if missing := set(_names(parsed)) - set(references):
            raise ValueError(f"names {', '.join(sorted(missing))}, which is not among the rules")
        if ordered:
            if any(isinstance(each, Linked) and not each.all for each in _items(parsed)):
                raise ValueError("of temporal_ordered joins rules with and")
            return references, lambda: InOrder(span_ns, len(references)), f"in this order {within}"
        enough = _enough(parsed, references)
        return references, lambda: Together(span_ns, enough), f"{body.condition} {within}"
    if not body.rules:
        raise ValueError("names no rules")
    least = len(body.rules)
    if body.condition is not None:
        least = _least(*body.condition.comparison)
    if least > len(body.rules):
        raise ValueError(f"asks for {least} of {len(body.rules)} rules")
    if ordered:
        if least != len(body.rules):
            raise ValueError("of temporal_ordered is all of the rules")
        return body.rules, lambda: InOrder(span_ns, least), f"in this order {within}"
    return body.rules, lambda: Together(span_ns, lambda seen: len(seen) >= least), f"{least} of them {within}"


def _parsed(text: str) -> Tree:
    parsed = parse_references(text)
    if any(isinstance(each, Not) for each in _items(parsed)):
        raise _NeedsTheEndError
    return parsed


def _items(tree: Tree) -> Iterator[Tree]:
    yield tree
    for child in tree.children if isinstance(tree, Linked) else ():
        yield from _items(child)


def _names(tree: Tree) -> list[str]:
    return [each.name for each in _items(tree) if isinstance(each, Name)]


def _enough(tree: Tree, references: Sequence[str]) -> Callable[[frozenset[int]], bool]:
    if isinstance(tree, Name):
        index = references.index(tree.name)
        return lambda seen: index in seen
    assert isinstance(tree, Linked)  # there is nothing else in it
    parts = [_enough(child, references) for child in tree.children]
    if tree.all:
        return lambda seen: all(part(seen) for part in parts)
    return lambda seen: any(part(seen) for part in parts)


def _words(seconds: int) -> str:
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds % length == 0:
            return f"{seconds // length} {unit}"
    return f"{seconds} s"


Group = tuple[Any, ...]
"""Of the `group-by` fields, in their order: text, a tuple of texts, or None."""


class Correlator:
    """A correlation at work.

    definition  what it and all it refers to say
    parents     correlations that refer to this one, and how
    silent      it is only there for these
    off         it says nothing, for now
    forgotten   windows that there was no room for any more
    """

    def __init__(self, correlation: Correlation) -> None:
        self.correlation = correlation
        self.definition: tuple[Any, ...] = ()
        self.parents: list[Link] = []
        self.silent = False
        self.off = False
        self.forgotten = 0
        self._windows: OrderedDict[Group, Window] = OrderedDict()

    def take_over(self, old: Correlator) -> None:
        """Remember what `old`, which says the same, remembers."""
        self._windows, self.forgotten = old._windows, old.forgotten

    def take(self, index: int, event: Event, group: Group, value: Any = None) -> list[Violation]:
        """An event that matched reference number `index`: the violations of the conditions it makes true."""
        window = self._window_of(group)
        for each in value if isinstance(value, tuple) else (value,):
            if window.add(Hit(index, event.time_ns, event.sequence, each)):
                return self._fire(window, group, event)
        return []

    def _window_of(self, group: Group) -> Window:
        window = self._windows.get(group)
        if window is not None:
            self._windows.move_to_end(group)
            return window
        if len(self._windows) >= GROUPS_MAX:
            self._windows.popitem(last=False)
            self.forgotten += 1
        window = self._windows[group] = self.correlation.window()
        return window

    def _fire(self, window: Window, group: Group, event: Event) -> list[Violation]:
        found = [] if self.silent or self.off else [self._violation(window.members(), group, event)]
        window.clear()
        for parent in self.parents:
            found += parent.take(event, group)
        return found

    def _violation(self, members: Sequence[int], group: Group, event: Event) -> Violation:
        correlation = self.correlation
        matched = (
            *(Match(name, _shown(value)) for name, value in zip(correlation.group_by, group, strict=True)),
            Match("rubicon.correlation.condition", correlation.what),
            Match("rubicon.correlation.events", ", ".join(map(str, members[-MEMBERS_NAMED:]))),
        )
        summary = sentences.by_correlation(event, correlation.phrase, correlation.rule.name, correlation.what)
        return Violation(correlation.rule, event, matched, summary)


def _shown(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value or "")


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """How events of a detection get into a correlation: as which of its rules, and how fields are read."""

    into: Correlator
    index: int
    group: tuple[Callable[[Facts], Any], ...]
    counted: Callable[[Facts], Any] | None

    @classmethod
    def make(cls, into: Correlator, index: int, source: LogSource) -> Feed:
        """Raises ValueError for fields that events of `source` do not have."""
        correlation, reference = into.correlation, into.correlation.references[index]
        group = [_reader(source, correlation.field_of(name, reference)) for name in correlation.group_by]
        counted = correlation.counted and correlation.field_of(correlation.counted, reference)
        return cls(into, index, tuple(group), _reader(source, counted) if counted else None)

    def take(self, event: Event, facts: Facts) -> list[Violation]:
        group = tuple([facts[reader] for reader in self.group])
        return self.into.take(self.index, event, group, self.counted and facts[self.counted])


def _reader(source: LogSource, name: str) -> Callable[[Facts], Any]:
    if (field := source.fields.get(name)) is not None:
        return field.text
    if name in source.known_absent:
        return lambda _facts: None
    raise ValueError(f'{source.category} has no field "{name}"')


@dataclass(frozen=True, slots=True, eq=False)
class Link:
    """How one correlation gets into another: of its events there are the fields it is grouped by."""

    into: Correlator
    index: int
    places: tuple[int, ...]
    counted: int | None

    @classmethod
    def make(cls, into: Correlator, index: int, inner: Correlation) -> Link:
        """Raises ValueError for fields that `inner` is not grouped by."""
        correlation, reference = into.correlation, into.correlation.references[index]
        places = [_place(inner, correlation.field_of(name, reference)) for name in correlation.group_by]
        counted = correlation.counted and correlation.field_of(correlation.counted, reference)
        return cls(into, index, tuple(places), _place(inner, counted) if counted else None)

    def take(self, event: Event, group: Group) -> list[Violation]:
        value = None if self.counted is None else group[self.counted]
        return self.into.take(self.index, event, tuple([group[place] for place in self.places]), value)


def _place(inner: Correlation, name: str) -> int:
    if name not in inner.group_by:
        raise ValueError(f'"{inner.rule.name}" is not grouped by "{name}"')
    return inner.group_by.index(name)
