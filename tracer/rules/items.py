"""One line of a Sigma detection, `Field|modifiers: values`, as a node.

What cannot be tested is an error, never left out.
"""

from __future__ import annotations

import difflib
import operator
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_network

from tracer.reach import address_test
from tracer.rules import nodes
from tracer.rules.fields import Field, Kind, LogSource
from tracer.rules.nodes import Node
from tracer.rules.parsed import MANY, NAMES, Line, NotHereError, Part, Value
from tracer.rules.values import COST_ADDRESS, Alternatives

_COMPARISONS = {
    "LT": operator.lt,
    "LTE": operator.le,
    "GT": operator.gt,
    "GTE": operator.ge,
    "NEQ": operator.ne,
}
_NULL = ("null",)


def node_of(source: LogSource, line: Line) -> Node:
    """Raises NotHereError, ValueError for what makes no sense."""
    linked = nodes.all_of if line.every else nodes.any_of
    if line.field is None:
        node = linked(_keyword_node(source, value) for value in line.values)
    elif line.field in source.known_absent:
        node = linked(_absent(value) for value in line.values or [_NULL])
    else:
        node = _field_node(source, _field(source, line.field), line)
    return nodes.negated(node) if line.negated else node


def _field(source: LogSource, name: str) -> Field:
    field = source.fields.get(name)
    if field is None:
        message = f'{source.category} has no field "{name}"'
        close = difflib.get_close_matches(name, [*source.fields, *source.known_absent], n=1)
        if close:
            raise ValueError(f'{message}; did you mean "{close[0]}"?')
        raise NotHereError(message)
    return field


def _absent(value: Value) -> Node:
    """What a value says of a field that no event has."""
    if value[0] == "exists":
        return nodes.NEVER if value[1] else nodes.ALWAYS
    return nodes.ALWAYS if value[0] in ("null", "empty") else nodes.NEVER


def _field_node(source: LogSource, field: Field, line: Line) -> Node:
    values = line.values or [_NULL]
    if line.every:
        return nodes.all_of(_alternatives_node(source, field, [value]) for value in values)
    return _alternatives_node(source, field, values)


def _alternatives_node(source: LogSource, field: Field, values: Iterable[Value]) -> Node:
    """One of the values matches. Those that are tests of a text go together, by how the text is read."""
    folded, plain = Alternatives(), Alternatives()
    found: list[Node] = []
    for value in _expanded(values):
        match value:
            case ["text", cased, parts]:
                (plain if cased else folded).add_parts(_read(parts, cased=cased))
            case ["number", text]:
                folded.add_parts([text])
            case ["re", pattern, flags, literals]:
                plain.add_regex(pattern, flags, literals)
            case ["cidr", network]:
                _require(field, Kind.ADDRESS, "cidr")
                plain.add_test(address_test(ip_network(network)), COST_ADDRESS)
            case _:
                found.append(_special_node(source, field, value))
    for alternatives, reader in ((folded, field.folded), (plain, field.text)):
        if (test := alternatives.test()) is not None:
            found.append(nodes.text_node(field, reader, test, alternatives.cost, alternatives.literals))
    return nodes.any_of(found)


def _expanded(values: Iterable[Value]) -> Iterator[Value]:
    """The values a modifier made of one, such as base64offset, are alternatives wherever they stand."""
    for value in values:
        if value[0] == "many":
            yield from _expanded(value[1])
        else:
            yield value


def _read(parts: Sequence[Part], *, cased: bool) -> Sequence[Part]:
    return parts if cased else [part.lower() if isinstance(part, str) else part for part in parts]


def _special_node(source: LogSource, field: Field, value: Value) -> Node:
    """Values that are not the text of the field itself."""
    match value:
        case ["null"] | ["empty"]:
            return nodes.absent_node(field)
        case ["exists", exists]:
            return nodes.present_node(field) if exists else nodes.absent_node(field)
        case ["compare", name, bound]:
            _require(field, Kind.NUMBER, "a comparison")
            compare = _COMPARISONS[name]
            return nodes.number_node(field, lambda number: bool(compare(number, bound)))
        case ["field", name, starts, ends]:
            return _reference_node(field, _field(source, name), starts=starts, ends=ends)
        case _:
            raise NotHereError(f"asks for {value[1]} values")


def _require(field: Field, kind: Kind, what: str) -> None:
    if field.kind is not kind:
        raise ValueError(f'{what} needs a field with {kind.name.lower()} values, "{field.name}" has none')


def _reference_node(field: Field, other: Field, *, starts: bool, ends: bool) -> Node:
    if Kind.LIST in (field.kind, other.kind):
        raise ValueError("fieldref compares single values, not lists")
    if starts and ends:
        return nodes.same_node(field, other, lambda left, right: right in left)
    if starts:
        return nodes.same_node(field, other, str.startswith)
    if ends:
        return nodes.same_node(field, other, str.endswith)
    return nodes.same_node(field, other, operator.eq)


def _keyword_node(source: LogSource, value: Value) -> Node:
    """A value without a field: found anywhere in the text of the event."""
    alternatives, any_cased = Alternatives(), False
    for one in _expanded([value]):
        match one:
            case ["text", cased, parts]:
                any_cased = any_cased or cased
                alternatives.add_parts([MANY, *_read(parts, cased=cased), MANY])
            case ["number", text]:
                alternatives.add_parts([MANY, text, MANY])
            case ["re", pattern, flags, literals]:
                any_cased = True
                alternatives.add_regex(pattern, flags, literals)
            case _:
                raise ValueError(f"{NAMES.get(one[0]) or one[1]} is not a keyword")
    test = alternatives.test()
    assert test is not None  # each of the branches above added one
    fields = [source.fields[name] for name in source.keywords]
    return nodes.any_of(
        nodes.text_node(
            field, field.text if any_cased else field.folded, test, alternatives.cost, alternatives.literals
        )
        for field in fields
    )
