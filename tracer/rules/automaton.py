"""Lists of paths as one deterministic automaton: how the kernel tells which are allowed (probes/allowed.h).

The kernel walks a path from its leaf up, so it reads "bin/usr/" for /usr/bin, each name followed by a slash,
byte by byte; "" is the root. A state is a row of cells, a cell for each class of bytes that are all the same
to these lists, and a first one that says whether the path is allowed if it ends here.

The patterns are about characters, the kernel has bytes. What is no UTF-8 is a character for each byte, as
os.fsdecode() has it; the first bytes of a character that is not complete yet belong to the state.
"""

from __future__ import annotations

import codecs
import os
import re
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from tracer.rules.allowed import HARMLESS, PathList, path_list, program_list
from tracer.rules.globs import characters, split
from tracer.rules.policy import Policy

CELLS_MAX = 1 << 20
ROWS_MAX = 1 << 16
REFUSED = 0
"""The row of whatever can never be allowed any more."""

_NOT_SLASH, _SLASH = "[^/]", "/"
# Bytes that UTF-8 treats alike (RFC 3629, section 4), a range or two each.
_KINDS = (
    ((0x80, 0x8F),),
    ((0x90, 0x9F),),
    ((0xA0, 0xBF),),
    ((0xC0, 0xC1), (0xF5, 0xFF)),
    ((0xC2, 0xDF),),
    ((0xE0, 0xE0),),
    ((0xE1, 0xEC), (0xEE, 0xEF)),
    ((0xED, 0xED),),
    ((0xF0, 0xF0),),
    ((0xF1, 0xF3),),
    ((0xF4, 0xF4),),
)
_States = frozenset[int]
_Row = tuple[_States, bytes]


@dataclass(frozen=True, slots=True)
class Automaton:
    """`classes` has the class of each byte, from 1 on; a row has `width` cells; a list begins at its row of
    `starts`; `cells` are all rows, one after the other.
    """

    classes: bytes
    width: int
    starts: tuple[int, ...]
    cells: array[int]

    def allows(self, number: int, path: str) -> bool:
        """Whether list `number` allows it, found as the kernel finds it."""
        row = self.starts[number]
        for byte in stored(path):
            row = self.cells[row * self.width + self.classes[byte]]
        return self.cells[row * self.width] != 0


def stored(path: str) -> bytes:
    """A path as the kernel walks it."""
    names = [name for name in path.split("/") if name]
    return b"".join(os.fsencode(name) + b"/" for name in reversed(names))


def path_table(policy: Policy) -> Automaton:
    """What a policy allows to be written, and to be run: in this order, as in probes/allowed.h.

    Raises ValueError as `compile_automaton` does.
    """
    writable = policy.files.write or ()
    return compile_automaton(
        [path_list([*writable, *HARMLESS]), program_list(policy.process.exec or (), writable)]
    )


def compile_automaton(lists: Sequence[PathList]) -> Automaton:
    """Raises ValueError when the patterns are more than the kernel's table holds, or it cannot tell them."""
    nodes = _Nodes()
    starts = [nodes.add(each) for each in lists]
    alphabet = _Alphabet(nodes.tests, nodes.mentioned)
    return _Builder(nodes, alphabet).build(starts)


class _Nodes:
    """What is left to match of a pattern, each but once: patterns that end alike share what they end with.

    A node may be passed over for another (`skips`), and leads to others by characters (`edges`: number of a
    test, node). `ends` says which side of which list has matched where a path ends.
    """

    def __init__(self) -> None:
        self.tests: dict[str, int] = {}
        self.mentioned: set[str] = set()
        self.edges: list[list[tuple[int, int]]] = []
        self.skips: list[int | None] = []
        self.ends: dict[int, str] = {}
        self.verdicts: list[Callable[[Collection[str]], bool]] = []
        self._known: dict[tuple[object, ...], int] = {}

    def add(self, paths: PathList) -> _States:
        """Where a list begins."""
        self.verdicts.append(paths.verdict)
        starts = []
        for side, patterns in paths.sides.items():
            end = self._node("end", len(self.verdicts), side)
            self.ends[end] = side
            starts += [self._pattern(pattern, end) for pattern in patterns]
        return frozenset(starts)

    def _pattern(self, pattern: str, end: int) -> int:
        """Put together from its end, which is the root."""
        node = end
        for component in split(pattern):
            node = self._names(node) if component == "**" else self._name(component, node)
        return node

    def _name(self, component: str, node: int) -> int:
        if not component:
            return node
        node = self._one(_SLASH, node)
        parts = list(characters(component))
        for text in reversed(parts):
            node = self._any(node) if text is None else self._one(text, node)
        return self._one(_NOT_SLASH, node) if parts == [None] else node

    def _one(self, text: str, node: int) -> int:
        new = self._node("one", text, node)
        self.edges[new] = [(self._test(text), node)]
        return new

    def _any(self, node: int) -> int:
        new = self._node("any", node)
        self.edges[new], self.skips[new] = [(self._test(_NOT_SLASH), new)], node
        return new

    def _names(self, node: int) -> int:
        """Any number of names."""
        new, inside = self._node("names", node), self._node("inside", node)
        no_slash = self._test(_NOT_SLASH)
        self.edges[new], self.skips[new] = [(no_slash, inside)], node
        self.edges[inside] = [(no_slash, inside), (self._test(_SLASH), new)]
        return new

    def _node(self, *what: object) -> int:
        if what not in self._known:
            self._known[what] = len(self.edges)
            self.edges.append([])
            self.skips.append(None)
        return self._known[what]

    def _test(self, text: str) -> int:
        strange = {each for each in text if not each.isascii()}
        if strange and text.startswith(("[", "(")) and "-" in text:
            raise ValueError(f"{text}: a range of characters that are not ASCII is too much for the kernel")
        self.mentioned |= strange
        return self.tests.setdefault(text, len(self.tests))


class _Alphabet:
    """Classes of bytes, one byte for each, and which tests a character passes, as a set of bits."""

    def __init__(self, tests: Mapping[str, int], mentioned: Iterable[str]) -> None:
        self._tests = [(1 << number, re.compile(text, re.DOTALL)) for text, number in tests.items()]
        self._passed: dict[str, int] = {}
        self.encoded = {os.fsencode(each): self.passed(each) for each in mentioned}
        self.other = next(
            self.passed(each) for number in count(0x80) if (each := chr(number)) not in mentioned
        )
        self.classes, self.members = self._classify()

    def passed(self, character: str) -> int:
        found = self._passed.get(character)
        if found is None:
            found = sum(bit for bit, test in self._tests if test.fullmatch(character))
            self._passed[character] = found
        return found

    def _classify(self) -> tuple[bytes, list[int]]:
        alone = {byte for each in self.encoded for byte in each}
        kinds = {
            byte: kind
            for kind, ranges in enumerate(_KINDS)
            for first, last in ranges
            for byte in range(first, last + 1)
        }
        numbers: dict[object, int] = {}
        members: list[int] = []
        classes = bytearray(256)
        for byte in range(256):
            alike = ("alone", byte) if byte in alone else ("kind", kinds[byte]) if byte >= 0x80 else byte
            key = self.passed(chr(byte)) if byte < 0x80 else alike
            if key not in numbers:
                numbers[key] = len(numbers) + 1
                members.append(byte)
            classes[byte] = numbers[key]
        return bytes(classes), members


class _Builder:
    """Rows for all that can be met, from the starts on. A row is the nodes one may be at, and the bytes of
    the character that has begun."""

    def __init__(self, nodes: _Nodes, alphabet: _Alphabet) -> None:
        self._nodes, self._alphabet = nodes, alphabet
        self._width = len(alphabet.members) + 1
        self._steps: dict[tuple[_States, int], _States] = {}
        self._masks: dict[_States, int] = {}
        self._rows: dict[tuple[int, _Row], int] = {}
        self._waiting: list[tuple[int, _Row]] = []

    def build(self, starts: Sequence[_States]) -> Automaton:
        members, width = self._alphabet.members, self._width
        begin = [self._row(number, (self._closed(each), b"")) for number, each in enumerate(starts)]
        cells = array("H", bytes(2 * width))  # of REFUSED
        for number, row in self._in_turn():
            cells.append(self._is_allowed(number, row))
            cells.extend(self._row(number, self._after(row, byte)) for byte in members)
        return Automaton(self._alphabet.classes, width, tuple(begin), cells)

    def _in_turn(self) -> Iterator[tuple[int, _Row]]:
        """In the order of their numbers; more come while the first are looked at."""
        yield from self._waiting

    def _row(self, number: int, row: _Row) -> int:
        """Of a list; there is none but REFUSED where nothing can match any more."""
        if not row[0]:
            return REFUSED
        key = number, row
        if key not in self._rows:
            if (len(self._rows) + 2) * self._width > CELLS_MAX or len(self._rows) + 2 > ROWS_MAX:
                raise ValueError("the patterns are more than the kernel's table of paths holds")
            self._waiting.append(key)
            self._rows[key] = len(self._waiting)
        return self._rows[key]

    def _is_allowed(self, number: int, row: _Row) -> bool:
        states, begun = row
        sides = {self._nodes.ends[node] for node in states if node in self._nodes.ends}
        return not begun and self._nodes.verdicts[number](sides)

    def _after(self, row: _Row, byte: int) -> _Row:
        states, begun = row
        if byte < 0x80 and not begun:
            return self._step(states, self._alphabet.passed(chr(byte))), b""
        data = begun + bytes([byte])
        text, used = codecs.utf_8_decode(data, "surrogateescape", False)
        for character in text:
            states = self._step(states, self._alphabet.passed(character))
        return self._begun(states, data[used:]) if states else (states, b"")

    def _begun(self, states: _States, begun: bytes) -> _Row:
        """Where it is all the same which character it will be, and whether one or several, it is over."""
        mask, other = self._mask(states), self._alphabet.other
        told_apart = any(
            encoded.startswith(begun) and (passed ^ other) & mask
            for encoded, passed in self._alphabet.encoded.items()
        )
        if not begun or told_apart:
            return states, begun
        after = self._step(states, other)
        if self._step(after, other) == after and not self._may_be_told_apart(after):
            return after, b""
        return states, _alike(begun)

    def _may_be_told_apart(self, states: _States) -> bool:
        mask = self._mask(states)
        return any((passed ^ self._alphabet.other) & mask for passed in self._alphabet.encoded.values())

    def _mask(self, states: _States) -> int:
        """The tests that matter there."""
        found = self._masks.get(states)
        if found is None:
            found = 0
            for node in states:
                for test, _target in self._nodes.edges[node]:
                    found |= 1 << test
            self._masks[states] = found
        return found

    def _step(self, states: _States, passed: int) -> _States:
        key = states, passed & self._mask(states)
        found = self._steps.get(key)
        if found is None:
            edges = (edge for node in states for edge in self._nodes.edges[node])
            found = self._closed(target for test, target in edges if passed >> test & 1)
            self._steps[key] = found
        return found

    def _closed(self, states: Iterable[int]) -> _States:
        """With all that may be passed over."""
        found: set[int] = set()
        for node in states:
            at: int | None = node
            while at is not None and at not in found:
                found.add(at)
                at = self._nodes.skips[at]
        return frozenset(found)


def _alike(begun: bytes) -> bytes:
    """The first of all bytes that go on as these do, which begin a character that no pattern mentions."""
    if len(begun) == 1:
        return begun
    return (b"\xe1\x80", b"\xf1\x80", b"\xf1\x80\x80")[(begun[0] >= 0xF0) * (len(begun) - 1)]
