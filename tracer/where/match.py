"""The tree -> a predicate over an event and what it broke."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from difflib import get_close_matches
from ipaddress import ip_network

from tracer.events import Event, Level
from tracer.reach import address_test, parse_ip
from tracer.where.fields import FIELDS, Field, Kind, Violations, field_named, names, texts
from tracer.where.parse import And, Node, Not, Or, Term, WhereError, Word, parse

Predicate = Callable[[Event, Violations], bool]
_Test = Callable[[str], bool]

_COMPARE: dict[str, Callable[[int, int], bool]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_NUMBER = re.compile(r"(\d{1,18})([kmg]?)(?:i?b)?", re.IGNORECASE)
_LEVELS = {level.value: level.rank for level in Level}
# What a word without a field is not looked for in: what others say already, and numbers, but for a few.
_NOT_SEARCHED = frozenset({"process.args", "process.ancestors.name", "rubicon.target", "process.entity_id"})
_NUMBERS_SEARCHED = frozenset({"process.pid", "destination.port", "process.exit_code"})
_SEARCHED = tuple(
    field
    for field in FIELDS
    if field.name in _NUMBERS_SEARCHED or not (field.kind is Kind.NUMBER or field.name in _NOT_SEARCHED)
)


class Where:
    """A filter. Without `text` it lets everything pass, and is false."""

    def __init__(self, text: str = "") -> None:
        """Raises WhereError for a mistake."""
        self.text = text.strip()
        node = parse(text)
        self._passes: Predicate | None = None if node is None else _compiled(node)

    def __bool__(self) -> bool:
        return self._passes is not None

    def __call__(self, event: Event, violations: Violations = ()) -> bool:
        return self._passes is None or self._passes(event, violations)


def _compiled(node: Node) -> Predicate:
    match node:
        case Word(text):
            return _word(text.lower())
        case Term():
            return _term(node)
        case Not(child):
            inner = _compiled(child)
            return lambda event, violations: not inner(event, violations)
        case And(children):
            return _all([_compiled(each) for each in children])
        case Or(children):
            return _any([_compiled(each) for each in children])


def _all(predicates: list[Predicate]) -> Predicate:
    return lambda event, violations: all(each(event, violations) for each in predicates)


def _any(predicates: list[Predicate]) -> Predicate:
    return lambda event, violations: any(each(event, violations) for each in predicates)


def _word(wanted: str) -> Predicate:
    def passes(event: Event, violations: Violations) -> bool:
        return any(
            wanted in text.lower() for field in _SEARCHED for text in texts(field.read(event, violations))
        )

    return passes


def _term(term: Term) -> Predicate:
    field = field_named(term.field)
    if field is None:
        raise WhereError(_unknown(term.field), term.place)
    if term.values == (("", False),):
        raise WhereError(f"{term.field}{term.operator} needs a value", term.place)
    tests = [_test(field, term, value, plain=plain) for value, plain in term.values]
    read, negated = field.read, term.operator == "!="

    def passes(event: Event, violations: Violations) -> bool:
        found = texts(read(event, violations))
        return any(test(text) for text in found for test in tests) is not negated

    return passes


def _unknown(name: str) -> str:
    near = get_close_matches(name.lower(), names(), n=3, cutoff=0.6)
    return f"there is no field {name}" + (f"; near: {', '.join(near)}" if near else "")


def _test(field: Field, term: Term, value: str, *, plain: bool) -> _Test:
    if term.operator in _COMPARE:
        return _ordered(field, term, value)
    if not plain and value == "*":
        return lambda _text: True
    folded = value.lower()
    if term.operator == "~":
        return lambda text: folded in text.lower()
    if field.kind is Kind.NUMBER:
        return _number_test(term, value)
    if field.kind is Kind.LEVEL:
        _rank(term, value)
    if field.kind is Kind.ADDRESS and "*" not in value:
        return _address_test(term, value)
    return _text_test(folded, plain=plain, last_part=field.kind is Kind.PATH and "/" not in value)


def _text_test(folded: str, *, plain: bool, last_part: bool) -> _Test:
    if plain or "*" not in folded:
        matches: _Test = folded.__eq__
    else:
        pattern = re.compile(".*".join(re.escape(part) for part in folded.split("*")), re.DOTALL)
        matches = lambda text: pattern.fullmatch(text) is not None  # noqa: E731
    if last_part:
        return lambda text: matches(text.lower().rpartition("/")[2])
    return lambda text: matches(text.lower())


def _number_test(term: Term, value: str) -> _Test:
    low, dots, high = value.partition("..")
    if dots:
        least = _number(term, low) if low else 0
        most = _number(term, high) if high else 1 << 63
        return lambda text: least <= int(text) <= most
    wanted = _number(term, value)
    return lambda text: int(text) == wanted


def _ordered(field: Field, term: Term, value: str) -> _Test:
    compare = _COMPARE[term.operator]
    if field.kind is Kind.LEVEL:
        rank = _rank(term, value)
        return lambda text: compare(_LEVELS[text], rank)
    if field.kind is not Kind.NUMBER:
        raise WhereError(f"{term.field} is no number: it has no {term.operator}", term.place)
    number = _number(term, value)
    return lambda text: compare(int(text), number)


def _number(term: Term, text: str) -> int:
    found = _NUMBER.fullmatch(text.strip())
    if found is None:
        raise WhereError(f"{term.field} is a number, {text!r} is none", term.place)
    return int(found[1]) * _SIZES[found[2].lower()]


def _rank(term: Term, value: str) -> int:
    rank = _LEVELS.get(value.lower())
    if rank is None:
        raise WhereError(f"{value!r} is no level; there are {', '.join(_LEVELS)}", term.place)
    return rank


def _address_test(term: Term, value: str) -> _Test:
    try:
        network = ip_network(parse_ip(value) or value, strict=False)
    except ValueError:
        raise WhereError(f"{value!r} is no address and no network", term.place) from None
    return address_test(network)
