"""One line of a Sigma detection, `Field|modifiers: values`, as a node.

pySigma takes the line apart and applies the modifiers; what it yields, strings with wildcards, regular
expressions, networks, comparisons, becomes tests here. What cannot be tested is an error, never left out.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import re2  # type: ignore[import-untyped]
from sigma.conditions import ConditionAND
from sigma.rule import SigmaDetectionItem
from sigma.types import (
    CompareOperators,
    Placeholder,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from tracer.rules import nodes
from tracer.rules.fields import Field, Kind, LogSource
from tracer.rules.nodes import Node
from tracer.rules.values import (
    COST_ADDRESS,
    SIGMA_POLICY,
    Alternatives,
    Part,
    address_test,
)
from tracer.rules.variables import Variables

_COMPARISONS = {
    CompareOperators.LT: operator.lt,
    CompareOperators.LTE: operator.le,
    CompareOperators.GT: operator.gt,
    CompareOperators.GTE: operator.ge,
    CompareOperators.NEQ: operator.ne,
}
_MANY = SpecialChars.WILDCARD_MULTI
_NO_PLACEHOLDERS: Variables = {}


class NotHereError(Exception):
    """A rule that is right, but cannot be judged here; its text is the reason."""


def compile_item(
    source: LogSource, key: str | None, values: Any, placeholders: Variables = _NO_PLACEHOLDERS
) -> Node:
    """The node of `key: values`; without a key the values are keywords.

    `placeholders` are the values of `%name%` under the modifier `expand`.
    Raises NotHereError, ValueError for what is not Sigma or makes no sense; pySigma may raise anything else.
    """
    if key is not None and "re" in key.split("|")[1:]:
        _check_expressions(values)
    item = SigmaDetectionItem.from_mapping(key, values, policy=SIGMA_POLICY)
    item.value = [each for value in item.value for each in _filled(value, placeholders)]
    linked = nodes.all_of if item.value_linking is ConditionAND else nodes.any_of
    if item.field is None:
        node = linked(_keyword_node(source, value) for value in item.value)
    elif item.field in source.known_absent:
        node = linked(_absent(value) for value in item.value or [SigmaNull()])
    else:
        node = _field_node(source, _field(source, item.field), item)
    return nodes.negated(node) if item.negated else node


def _filled(value: SigmaType, placeholders: Variables) -> list[SigmaType]:
    """The value with what its placeholders stand for: one for each of their values."""
    if not isinstance(value, SigmaString) or not value.contains_placeholder():
        return [value]

    def values_of(placeholder: Placeholder) -> Iterator[str]:
        if placeholder.name not in placeholders:
            raise NotHereError(
                f"needs values for %{placeholder.name}%: give them with --set {placeholder.name}=A,B"
            )
        return iter(placeholders[placeholder.name])

    return list(value.replace_placeholders(values_of))


def _check_expressions(values: Any) -> None:
    """Raises NotHereError for a regular expression that is one, but takes time without bounds."""
    for value in values if isinstance(values, list) else [values]:
        if not isinstance(value, str):
            raise ValueError(f"a regular expression is text, not {value!r}")  # noqa: TRY004 - one kind for all
        try:
            SIGMA_POLICY.regex_engine.compile(value, 0)
        except re2.error as error:
            if _is_expression(value):
                raise NotHereError(f"its expression cannot be matched in bounded time: {error}") from None


def _is_expression(text: str) -> bool:
    try:
        re.compile(text)
    except (re.error, RecursionError, OverflowError):
        return False
    return True


def _field(source: LogSource, name: str) -> Field:
    field = source.fields.get(name)
    if field is None:
        message = f'{source.category} has no field "{name}"'
        close = difflib.get_close_matches(name, [*source.fields, *source.known_absent], n=1)
        if close:
            raise ValueError(f'{message}; did you mean "{close[0]}"?')
        raise NotHereError(message)
    return field


def _absent(value: SigmaType) -> Node:
    """What a value says of a field that no event has."""
    if isinstance(value, SigmaExists):
        return nodes.NEVER if value.exists else nodes.ALWAYS
    empty = isinstance(value, SigmaNull) or (isinstance(value, SigmaString) and not value.s)
    return nodes.ALWAYS if empty else nodes.NEVER


def _field_node(source: LogSource, field: Field, item: SigmaDetectionItem) -> Node:
    values = item.value or [SigmaNull()]
    if item.value_linking is ConditionAND:
        return nodes.all_of(_alternatives_node(source, field, [value]) for value in values)
    return _alternatives_node(source, field, values)


def _alternatives_node(source: LogSource, field: Field, values: Iterable[SigmaType]) -> Node:
    """One of the values matches. Those that are tests of a text go together, by how the text is read."""
    folded, plain = Alternatives(), Alternatives()
    found: list[Node] = []
    for value in _expanded(values):
        if isinstance(value, SigmaString) and value.s:
            cased = isinstance(value, SigmaCasedString)
            (plain if cased else folded).add_parts(_parts(value, cased=cased))
        elif isinstance(value, SigmaNumber | SigmaBool) and not isinstance(value, SigmaTimestampPart):
            folded.add_parts([str(value).lower()])
        elif isinstance(value, SigmaRegularExpression):
            plain.add_regex(value)
        elif isinstance(value, SigmaCIDRExpression):
            _require(field, Kind.ADDRESS, "cidr")
            plain.add_test(address_test(value.network), COST_ADDRESS)
        else:
            found.append(_special_node(source, field, value))
    for alternatives, reader in ((folded, field.folded), (plain, field.text)):
        if (test := alternatives.test()) is not None:
            found.append(nodes.text_node(field, reader, test, alternatives.cost, alternatives.literals))
    return nodes.any_of(found)


def _expanded(values: Iterable[SigmaType]) -> Iterable[SigmaType]:
    """The values a modifier made of one, such as base64offset, are alternatives wherever they stand."""
    for value in values:
        if isinstance(value, SigmaExpansion):
            yield from _expanded(value.values)
        else:
            yield value


def _parts(value: SigmaString, *, cased: bool) -> Sequence[Part]:
    parts: list[Part] = []
    for part in value.s:
        if isinstance(part, str):
            parts.append(part if cased else part.lower())
        elif isinstance(part, SpecialChars):
            parts.append(part)
    return parts


def _special_node(source: LogSource, field: Field, value: SigmaType) -> Node:
    """Values that are not the text of the field itself."""
    if isinstance(value, SigmaNull | SigmaString):
        return nodes.absent_node(field)
    if isinstance(value, SigmaExists):
        return nodes.present_node(field) if value.exists else nodes.absent_node(field)
    if isinstance(value, SigmaCompareExpression) and not isinstance(value.number, SigmaTimestampPart):
        _require(field, Kind.NUMBER, "a comparison")
        return _compare_node(field, value)
    if isinstance(value, SigmaFieldReference):
        return _reference_node(field, _field(source, value.field), value)
    raise NotHereError(f"asks for {type(value).__name__.removeprefix('Sigma')} values")


def _require(field: Field, kind: Kind, what: str) -> None:
    if field.kind is not kind:
        raise ValueError(f'{what} needs a field with {kind.name.lower()} values, "{field.name}" has none')


def _compare_node(field: Field, value: SigmaCompareExpression) -> Node:
    compare, bound = _COMPARISONS[value.op], value.number.number
    return nodes.number_node(field, lambda number: bool(compare(number, bound)))


def _reference_node(field: Field, other: Field, value: SigmaFieldReference) -> Node:
    if Kind.LIST in (field.kind, other.kind):
        raise ValueError("fieldref compares single values, not lists")
    if value.starts_with and value.ends_with:
        return nodes.same_node(field, other, lambda left, right: right in left)
    if value.starts_with:
        return nodes.same_node(field, other, str.startswith)
    if value.ends_with:
        return nodes.same_node(field, other, str.endswith)
    return nodes.same_node(field, other, operator.eq)


def _keyword_node(source: LogSource, value: SigmaType) -> Node:
    """A value without a field: found anywhere in the text of the event."""
    alternatives, cased = Alternatives(), False
    for one in _expanded([value]):
        if isinstance(one, SigmaString) and one.s:
            cased = cased or isinstance(one, SigmaCasedString)
            alternatives.add_parts([_MANY, *_parts(one, cased=isinstance(one, SigmaCasedString)), _MANY])
        elif isinstance(one, SigmaNumber | SigmaBool) and not isinstance(one, SigmaTimestampPart):
            alternatives.add_parts([_MANY, str(one).lower(), _MANY])
        elif isinstance(one, SigmaRegularExpression):
            cased = True
            alternatives.add_regex(one)
        else:
            raise ValueError(f"{type(one).__name__.removeprefix('Sigma')} is not a keyword")
    test = alternatives.test()
    assert test is not None  # each of the branches above added one
    fields = [source.fields[name] for name in source.keywords]
    return nodes.any_of(
        nodes.text_node(
            field, field.text if cased else field.folded, test, alternatives.cost, alternatives.literals
        )
        for field in fields
    )
