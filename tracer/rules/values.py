"""Tests of one text against the values of a Sigma rule, made once when the rule is loaded.

No text, whatever an agent makes it, takes more than time in proportion to its length: wildcards are matched
from left to right, and regular expressions by RE2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

from tracer.rules.parsed import MANY, Part

TextTest = Callable[[str], bool]

# How long a test takes, to do the quick ones first.
COST_TEXT = 1
COST_SEARCH = 2
COST_WILDCARD = 6
COST_ADDRESS = 6
COST_REGEX = 20


@lru_cache(maxsize=1024)
def compile_regex(pattern: str, flags: int) -> Any:
    """By RE2, which takes time in proportion to the text; `flags` are those of `re`. Raises re2.error."""
    options = re2.Options()
    options.log_errors = False
    options.case_sensitive = not flags & re.IGNORECASE
    options.dot_nl = bool(flags & re.DOTALL)
    return re2.compile(f"(?m){pattern}" if flags & re.MULTILINE else pattern, options)


def regex_test(pattern: str, flags: int = 0) -> TextTest:
    """The expression is found anywhere in the text, as in the public rules."""
    search = compile_regex(pattern, flags).search
    return lambda text: search(_encodable(text)) is not None


def _encodable(text: str) -> str:
    """RE2 takes UTF-8: a byte that is none becomes U+FFFD."""
    return text if text.isascii() else os.fsencode(text).decode("utf-8", "replace")


@dataclass(slots=True)
class Alternatives:
    """Values of which one must match the text; literals of a kind are tested together."""

    exact: set[str] = field(default_factory=set)
    prefixes: list[str] = field(default_factory=list)
    suffixes: list[str] = field(default_factory=list)
    inner: list[str] = field(default_factory=list)
    others: list[TextTest] = field(default_factory=list)
    cost: int = 0
    _literals: set[str] = field(default_factory=set)
    _unknown: bool = False

    def add_test(self, test: TextTest, cost: int, literals: Iterable[str] = ()) -> None:
        """One of `literals` is in every text that passes."""
        self.others.append(test)
        self.cost += cost
        for literal in literals or ("",):
            self._add_literal(literal)

    def add_regex(self, pattern: str, flags: int, literals: Iterable[str]) -> None:
        self.add_test(regex_test(pattern, flags), COST_REGEX, literals)

    def _add_literal(self, literal: str) -> None:
        # Case is folded letter by letter in ASCII only: a sigma's depends on what follows it.
        self._unknown = self._unknown or not literal or not literal.isascii()
        self._literals.add(literal.lower())

    @property
    def literals(self) -> frozenset[str] | None:
        """Texts of which one is, in lower case, in every text that passes; None when that is not known."""
        return None if self._unknown or not self._literals else frozenset(self._literals)

    def add_parts(self, parts: Sequence[Part]) -> None:
        """Add a string with its wildcards: text, `*` and `?` in a row."""
        segments = _segments(parts)
        plain = ["".join(segment) for segment in segments if all(isinstance(part, str) for part in segment)]  # type: ignore[arg-type]
        literal = max((part for part in parts if isinstance(part, str)), key=len, default="")
        if len(plain) < len(segments):
            self.add_test(wildcard_test(parts), COST_WILDCARD, (literal,))
            return
        if len(plain) > 3 or (len(plain) == 3 and (plain[0] or plain[2])) or (len(plain) == 2 and all(plain)):
            self.add_test(wildcard_test(parts), COST_WILDCARD, (literal,))
            return
        self._add_literal(literal)
        if len(plain) == 1:
            self.exact.add(plain[0])
            self.cost = max(self.cost, COST_TEXT)
        elif len(plain) == 2:
            self._add_end(plain[0], plain[1])
        else:
            self.inner.append(plain[1])
            self.cost += COST_SEARCH

    def _add_end(self, prefix: str, suffix: str) -> None:
        if prefix:
            self.prefixes.append(prefix)
        else:
            self.suffixes.append(suffix)
        self.cost = max(self.cost, COST_TEXT)

    def test(self) -> TextTest | None:
        """True when one of them matches; None when there are none."""
        tests: list[TextTest] = []
        if self.exact:
            tests.append(frozenset(self.exact).__contains__)
        if self.prefixes:
            prefixes = tuple(self.prefixes)
            tests.append(lambda text: text.startswith(prefixes))
        if self.suffixes:
            suffixes = tuple(self.suffixes)
            tests.append(lambda text: text.endswith(suffixes))
        if self.inner:
            tests.append(_contains(self.inner))
        tests += self.others
        return any_of(tests) if tests else None


def _contains(literals: Sequence[str]) -> TextTest:
    if len(literals) == 1:
        literal = literals[0]
        return lambda text: literal in text
    found = tuple(literals)

    def test(text: str) -> bool:
        for literal in found:  # noqa: SIM110 - a generator takes twice as long
            if literal in text:
                return True
        return False

    return test


def any_of(tests: Sequence[TextTest]) -> TextTest:
    if len(tests) == 1:
        return tests[0]
    in_turn = tuple(tests)

    def test(text: str) -> bool:
        for one in in_turn:  # noqa: SIM110 - a generator takes twice as long
            if one(text):
                return True
        return False

    return test


def wildcard_test(parts: Sequence[Part]) -> TextTest:
    """The whole text is `parts`, in which `*` is any text and `?` any one character.

    Between two stars the first place where the text fits is as good as any later one, so one pass is enough.
    """
    segments = [_Segment(segment) for segment in _segments(parts)]
    head, *middle, tail = segments if len(segments) > 1 else (segments[0], segments[0])
    if len(segments) == 1:
        return lambda text: len(text) == head.length and head.fits(text, 0)

    def test(text: str) -> bool:
        position, limit = head.length, len(text) - tail.length
        if position > limit or not head.fits(text, 0) or not tail.fits(text, limit):
            return False
        for segment in middle:
            found = segment.find(text, position)
            if found < 0:
                return False
            position = found + segment.length
        return position <= limit

    return test


def _segments(parts: Sequence[Part]) -> list[list[Part]]:
    """What stands before, between and after the stars; a run of stars is one."""
    segments: list[list[Part]] = [[]]
    previous: Part | None = None
    for part in parts:
        if part != MANY:
            segments[-1].append(part)
        elif previous != MANY:
            segments.append([])
        previous = part
    return segments


class _Segment:
    """Text of a fixed length without a star: where it is in another text."""

    __slots__ = ("find", "fits", "length")

    def __init__(self, parts: Sequence[Part]) -> None:
        self.length = sum(len(part) if isinstance(part, str) else 1 for part in parts)
        self.find: Callable[[str, int], int]
        self.fits: Callable[[str, int], bool]
        if all(isinstance(part, str) for part in parts):
            literal = "".join(str(part) for part in parts)
            self.find = lambda text, start: text.find(literal, start)
            self.fits = lambda text, start: text.startswith(literal, start)
        else:
            expression = re.compile(
                "".join(re.escape(part) if isinstance(part, str) else "." for part in parts), re.DOTALL
            )
            self.find = lambda text, start: found.start() if (found := expression.search(text, start)) else -1
            self.fits = lambda text, start: expression.match(text, start) is not None
