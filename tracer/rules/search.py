"""Which rules an event may match: the texts that all of them need are looked for at once, field by field.

A rule is asked only when one of its `anchors` is in the event (Aho-Corasick over all rules of a log source),
or when it has none. What was found in a text is kept for a while, as the same program does many things.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import ahocorasick

from tracer.rules.fields import Facts, Reader
from tracer.rules.nodes import Anchors

KEPT_MAX = 4096  # texts of a field
KEPT_CHARACTERS_MAX = 512  # of a text that is kept

Rules = frozenset[int]
_NONE: Rules = frozenset()


class Search:
    """`anchors` are those of the rules, by their number; rules without any are always candidates."""

    def __init__(self, anchors: Sequence[Anchors | None]) -> None:
        self._always = [number for number, each in enumerate(anchors) if each is None]
        words: dict[Reader, dict[str, set[int]]] = defaultdict(lambda: defaultdict(set))
        for number, each in enumerate(anchors):
            for reader, text in each or ():
                words[reader][text].add(number)
        self._scanners = tuple((reader, _Scanner(its)) for reader, its in words.items())

    def candidates(self, facts: Facts) -> Iterable[int]:
        """The numbers of the rules to ask, in order."""
        found: set[int] | None = None
        for reader, scanner in self._scanners:
            value = facts[reader]
            if value and (hits := scanner.find(value)):
                if found is None:
                    found = set(self._always)
                found |= hits
        return self._always if found is None else sorted(found)


class _Scanner:
    """One field: the rules whose texts are in a value."""

    __slots__ = ("_automaton", "_kept")

    def __init__(self, words: dict[str, set[int]]) -> None:
        self._kept: dict[str | tuple[str, ...], Rules] = {}
        self._automaton = ahocorasick.Automaton()
        for word, rules in words.items():
            self._automaton.add_word(word, frozenset(rules))
        self._automaton.make_automaton()

    def find(self, value: str | tuple[str, ...]) -> Rules:
        kept = self._kept
        found = kept.get(value)
        if found is None:
            found = self._found_in(value)
            if len(value) <= KEPT_CHARACTERS_MAX:
                if len(kept) >= KEPT_MAX:
                    kept.clear()
                kept[value] = found
        return found

    def _found_in(self, value: str | tuple[str, ...]) -> Rules:
        if isinstance(value, tuple):
            return _NONE.union(*map(self._found_in, value))
        found = [rules for _, rules in self._automaton.iter(value.lower())]
        return _NONE.union(*found) if found else _NONE
