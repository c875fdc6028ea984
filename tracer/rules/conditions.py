"""The condition of a Sigma rule, `selection and not 1 of filter_*`, as a tree.

What is written as most are is taken apart here, in a tenth of the time that pySigma's grammar takes, which
was a third of what reading the pack costs; all else, mistakes among it, is left to that. The tests hold the
two against each other.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    name: str


@dataclass(frozen=True, slots=True)
class Selected:
    """`1 of selection_*`, `all of them`."""

    pattern: str
    all: bool


@dataclass(frozen=True, slots=True)
class Not:
    child: Tree


@dataclass(frozen=True, slots=True)
class Linked:
    """With `and` (`all`), or with `or`."""

    children: tuple[Tree, ...]
    all: bool


Tree = Name | Selected | Not | Linked

_TOKEN = re.compile(r"\s*([()]|[A-Za-z0-9_-]+(?![\w*-])|[A-Za-z0-9_*]+(?![\w*-]))")
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_PATTERN = re.compile(r"[A-Za-z0-9_*]+")
_OPERATORS = frozenset({"not", "and", "or", "of"})
_QUANTIFIERS = frozenset({"1", "any", "all"})
_DEPTH_MAX = 50


def parse_condition(text: str) -> Tree:
    """Raises SigmaError, or whatever else pySigma makes of what is no condition."""
    try:
        return _Parser(text).whole()
    except _OtherwiseError:
        return _by_pysigma(text)


class _OtherwiseError(Exception):
    """It is written otherwise, or wrong."""


class _Parser:
    def __init__(self, text: str) -> None:
        self._tokens: list[str] = []
        self._next = 0
        place, text = 0, text.strip()
        while place < len(text):
            found = _TOKEN.match(text, place)
            if found is None:
                raise _OtherwiseError
            self._tokens.append(found[1])
            place = found.end()

    def whole(self) -> Tree:
        tree = self._linked("or", 0)
        if self._next != len(self._tokens):
            raise _OtherwiseError
        return tree

    def _peek(self, ahead: int = 0) -> str:
        place = self._next + ahead
        return self._tokens[place] if place < len(self._tokens) else ""

    def _linked(self, word: str, depth: int) -> Tree:
        """`or` binds less than `and`, and that less than `not`."""
        children = [self._part(word, depth)]
        while self._peek() == word:
            self._next += 1
            children.append(self._part(word, depth))
        return children[0] if len(children) == 1 else Linked(tuple(children), word == "and")

    def _part(self, word: str, depth: int) -> Tree:
        return self._linked("and", depth) if word == "or" else self._one(depth)

    def _one(self, depth: int) -> Tree:
        found = self._peek()
        if depth > _DEPTH_MAX or not found:
            raise _OtherwiseError
        self._next += 1
        if found == "not":
            return Not(self._one(depth + 1))
        if found == "(":
            inner = self._linked("or", depth + 1)
            if self._peek() != ")":
                raise _OtherwiseError
            self._next += 1
            return inner
        if found in _QUANTIFIERS and self._peek() == "of":
            pattern = self._peek(1)
            if not _PATTERN.fullmatch(pattern):
                raise _OtherwiseError
            self._next += 2
            return Selected(pattern, found == "all")
        if found in _OPERATORS or not _NAME.fullmatch(found):
            raise _OtherwiseError
        return Name(found)


def parse_references(text: str) -> Tree:
    """The condition of a temporal correlation: names of rules. Raises ValueError."""
    from sigma.correlations import (
        CorrelationConditionAND,
        CorrelationConditionNOT,
        SigmaExtendedCorrelationCondition,
        SigmaRuleReference,
    )

    def tree(item: object) -> Tree:
        if isinstance(item, SigmaRuleReference):
            return Name(item.reference)
        children = tuple(tree(argument) for argument in item.args)  # type: ignore[attr-defined]
        if isinstance(item, CorrelationConditionNOT):
            return Not(children[0])
        return Linked(children, isinstance(item, CorrelationConditionAND))

    return tree(SigmaExtendedCorrelationCondition(text).parsed)


def _by_pysigma(text: str) -> Tree:
    from sigma.conditions import SigmaCondition
    from sigma.rule.detection import EmptySigmaDetections

    return _tree(SigmaCondition(text, EmptySigmaDetections()).parse(postprocess=False))


def _tree(item: object) -> Tree:
    from sigma.conditions import (
        ConditionAND,
        ConditionIdentifier,
        ConditionItem,
        ConditionNOT,
        ConditionSelector,
    )

    if isinstance(item, ConditionIdentifier):
        return Name(item.identifier)
    if isinstance(item, ConditionSelector):
        return Selected(item.pattern, item.cond_class is ConditionAND)
    if not isinstance(item, ConditionItem):
        raise TypeError(f"{item!r} is no part of a condition")
    children: Sequence[Tree] = [_tree(argument) for argument in item.args]
    if isinstance(item, ConditionNOT):
        return Not(children[0])
    return Linked(tuple(children), isinstance(item, ConditionAND))
