"""The condition of a detection as a tree of closures: what decides, and what explains.

`test` only says yes or no. `explain` runs after a yes and names the fields that made it so: of an `or` the
branch that matched, of a `not` nothing. `anchors` are what must be somewhere in the event for a yes to be
possible: the engine looks for those of all rules at once and asks only the rules of which it found one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from tracer.events import Match
from tracer.rules.fields import Facts, Field, Kind, Reader
from tracer.rules.literals import rarity
from tracer.rules.reads import Names, all_names, any_names
from tracer.rules.values import COST_TEXT, TextTest

Test = Callable[[Facts], bool]
Anchors = frozenset[tuple[Reader, str]]
"""Texts in lower case, of which at least one is in what its reader gives, in lower case."""

_COST_OF_FILTER = 100  # a `not` rejects few events: what a rule looks for comes before its exceptions


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """What decides, and what explains.

    cost      how long `test` takes, in units of one comparison
    anchors   None: there are none
    common    the anchors are in a great many events: any others are better
    reads     files of these names, and no others, can match; None when that is not known
    """

    test: Test
    explain: Callable[[Facts], list[Match]]
    cost: int
    anchors: Anchors | None = None
    common: bool = False
    reads: Names | None = None


ALWAYS = Node(lambda _facts: True, lambda _facts: [], 0)
NEVER = Node(lambda _facts: False, lambda _facts: [], 0)


def all_of(nodes: Iterable[Node]) -> Node:
    nodes = [node for node in nodes if node is not ALWAYS]
    if any(node is NEVER for node in nodes):
        return NEVER
    if len(nodes) < 2:
        return nodes[0] if nodes else ALWAYS
    anchored = max((node for node in nodes if node.anchors), key=_worth, default=ALWAYS)
    return Node(
        _all([node.test for node in sorted(nodes, key=lambda node: node.cost)]),
        lambda facts: [match for node in nodes for match in node.explain(facts)],
        sum(node.cost for node in nodes),
        anchored.anchors,
        anchored.common,
        all_names([node.reads for node in nodes]),
    )


def any_of(nodes: Iterable[Node]) -> Node:
    nodes = [node for node in nodes if node is not NEVER]
    if any(node is ALWAYS for node in nodes):
        return ALWAYS
    if len(nodes) < 2:
        return nodes[0] if nodes else NEVER
    return Node(
        _any([node.test for node in sorted(nodes, key=lambda node: node.cost)]),
        lambda facts: next((node.explain(facts) for node in nodes if node.test(facts)), []),
        sum(node.cost for node in nodes),
        _united([node.anchors for node in nodes]),
        any(node.common for node in nodes),
        any_names([node.reads for node in nodes]),
    )


def _worth(node: Node) -> tuple[bool, tuple[int, int]]:
    return not node.common, rarity([text for _, text in node.anchors or ()])


def _united(several: Sequence[Anchors | None]) -> Anchors | None:
    found = [each for each in several if each]
    return frozenset().union(*found) if len(found) == len(several) else None


def negated(node: Node) -> Node:
    if node is ALWAYS:
        return NEVER
    if node is NEVER:
        return ALWAYS
    test = node.test
    return Node(lambda facts: not test(facts), lambda _facts: [], node.cost + _COST_OF_FILTER)


def text_node(
    field: Field, reader: Reader, test: TextTest, cost: int, literals: frozenset[str] | None = None
) -> Node:
    """The field, read by `reader`, is there and passes `test`; of a list one of its texts does.

    `literals`: one of these is in every text that passes, in lower case.
    """
    anchors = frozenset((field.text, literal) for literal in literals) if literals else None
    if field.kind is Kind.LIST:
        return _list_node(field, reader, test, cost, anchors)

    def matches(facts: Facts) -> bool:
        text = facts[reader]
        return text is not None and test(text)

    return Node(matches, lambda facts: [Match(field.name, facts[field.text])], cost, anchors, field.common)


def _list_node(field: Field, reader: Reader, test: TextTest, cost: int, anchors: Anchors | None) -> Node:
    def matches(facts: Facts) -> bool:
        for text in facts[reader]:  # noqa: SIM110 - a generator takes twice as long
            if test(text):
                return True
        return False

    def explain(facts: Facts) -> list[Match]:
        pairs = zip(facts[field.text], facts[reader], strict=True)
        return [Match(field.name, text) for text, read in pairs if test(read)]

    return Node(matches, explain, cost * 8, anchors, field.common)


def shared(node: Node, reads: Names | None) -> Node:
    """The same for several rules: of one event it is tested once. `reads` is what its line says of names."""
    if node in (ALWAYS, NEVER):
        return node
    test = node.test
    once: Test = test if node.cost <= COST_TEXT else lambda facts: bool(facts[test])
    return replace(node, test=once, reads=reads)


def present_node(field: Field) -> Node:
    return text_node(field, field.text, lambda _text: True, COST_TEXT)


def absent_node(field: Field) -> Node:
    reader = field.text
    empty = [Match(field.name, "")]
    if field.kind is Kind.LIST:
        return Node(lambda facts: not facts[reader], lambda _facts: empty, COST_TEXT)
    return Node(lambda facts: facts[reader] is None, lambda _facts: empty, COST_TEXT)


def number_node(field: Field, test: Callable[[int], bool]) -> Node:
    reader = field.value

    def matches(facts: Facts) -> bool:
        number = facts[reader]
        return number is not None and test(number)

    return Node(matches, lambda facts: [Match(field.name, facts[field.text])], COST_TEXT)


def same_node(field: Field, other: Field, test: Callable[[str, str], bool]) -> Node:
    """Two fields of the event compared, in lower case."""

    def matches(facts: Facts) -> bool:
        left, right = facts[field.folded], facts[other.folded]
        return left is not None and right is not None and test(left, right)

    def explain(facts: Facts) -> list[Match]:
        return [Match(field.name, facts[field.text]), Match(other.name, facts[other.text])]

    return Node(matches, explain, COST_TEXT * 2)


def _all(tests: Sequence[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda facts: first(facts) and second(facts)
    in_turn = tuple(tests)

    def test(facts: Facts) -> bool:
        for one in in_turn:  # noqa: SIM110 - a generator takes twice as long
            if not one(facts):
                return False
        return True

    return test


def _any(tests: Sequence[Test]) -> Test:
    if len(tests) == 2:
        first, second = tests
        return lambda facts: first(facts) or second(facts)
    in_turn = tuple(tests)

    def test(facts: Facts) -> bool:
        for one in in_turn:  # noqa: SIM110 - a generator takes twice as long
            if one(facts):
                return True
        return False

    return test
