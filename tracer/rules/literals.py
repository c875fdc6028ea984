"""What a regular expression cannot match without: texts to look for before the expression itself is asked."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

Literals = frozenset[str]
_NONE: Literals = frozenset()

# Where RE2 reads a class in another way than Python: [[:alpha:]], and what Python may read as set operations.
_READ_OTHERWISE = re.compile(r"\[\^?\[|\[:|--|&&|~~|\|\|")
_REPEATS = (_constants.MAX_REPEAT, _constants.MIN_REPEAT, _constants.POSSESSIVE_REPEAT)


def literals_of(expression: str, flags: int) -> Literals:
    """Texts in lower case of which one is in every text, in lower case, in which RE2 finds the expression.

    Empty when none is known. Python's own parser reads it: what both take means the same to both, but for
    what `_READ_OTHERWISE` finds.
    """
    if _READ_OTHERWISE.search(expression):
        return _NONE
    try:
        parsed = _parser.parse(expression, flags)
    except (re.error, RecursionError, OverflowError):
        return _NONE
    return _of_sequence(parsed, bool(parsed.state.flags & re.IGNORECASE))


def _of_sequence(items: Iterable[tuple[Any, Any]], ignore_case: bool) -> Literals:
    """The best of what stands in a row, all of which must match."""
    found: list[Literals] = []
    run = ""
    for operation, argument in items:
        if operation is _constants.LITERAL and _is_plain(character := chr(argument), ignore_case):
            run += character.lower()
            continue
        found += [frozenset({run}), _of_item(operation, argument, ignore_case)]
        run = ""
    return _best([*found, frozenset({run})])


def _of_item(operation: Any, argument: Any, ignore_case: bool) -> Literals:
    if operation is _constants.SUBPATTERN:
        _group, added, _taken, inner = argument
        return _of_sequence(inner, ignore_case or bool(added & re.IGNORECASE))
    if operation is _constants.BRANCH:
        return _united([_of_sequence(branch, ignore_case) for branch in argument[1]])
    if operation in _REPEATS and argument[0] > 0:
        return _of_sequence(argument[2], ignore_case)
    return _NONE


def _is_plain(character: str, ignore_case: bool) -> bool:
    """Whether its lower case is in that of what it matches: a long s matches s, and stays as it is."""
    return character.isascii() and not (ignore_case and character in "sS")


def _united(several: Sequence[Literals]) -> Literals:
    return frozenset().union(*several) if all(several) else _NONE


def _best(several: Iterable[Literals]) -> Literals:
    """Those that are found least often."""
    return max((each for each in several if each and "" not in each), key=rarity, default=_NONE)


def rarity(texts: Collection[str]) -> tuple[int, int]:
    """Long texts are rare, and few are found less often than many."""
    return min(map(len, texts)), -len(texts)
