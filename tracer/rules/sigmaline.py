"""pySigma takes a line of a detection apart and applies its modifiers; here that becomes data.

What it yields, strings with wildcards, regular expressions, networks, comparisons, is all there is. It is
imported only where there is something to take apart, for that takes longer than all else at a start.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from typing import Any

import re2  # type: ignore[import-untyped]
from sigma.conditions import ConditionAND
from sigma.policy import SigmaPolicy
from sigma.policy.regex_engine import RE2RegexEngine, RegexPattern
from sigma.rule import SigmaDetectionItem
from sigma.types import (
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

from tracer.rules.literals import literals_of
from tracer.rules.parsed import MANY, ONE, Line, NotHereError, Part, Value
from tracer.rules.values import compile_regex
from tracer.rules.variables import Variables

_NO_PLACEHOLDERS: Variables = {}


class QuietRegexEngine(RE2RegexEngine):
    """RE2 that leaves it to the exception to say what is wrong with an expression."""

    def compile(self, pattern: str, flags: int = 0) -> RegexPattern:
        try:
            compiled: RegexPattern = compile_regex(pattern, flags)
        except re2.error as error:  # which brings bytes
            raise re2.error(os.fsdecode(error.args[0])) from None
        return compiled


SIGMA_POLICY = SigmaPolicy(regex_engine=QuietRegexEngine())


def parse_line(key: str | None, values: Any, placeholders: Variables = _NO_PLACEHOLDERS) -> Line:
    """`placeholders` are the values of `%name%` under the modifier `expand`.

    Raises NotHereError, ValueError for what is not Sigma or makes no sense; pySigma may raise anything else.
    """
    if key is not None and "re" in key.split("|")[1:]:
        _check_expressions(values)
    item = SigmaDetectionItem.from_mapping(key, values, policy=SIGMA_POLICY)
    filled = [each for value in item.value for each in _filled(value, placeholders)]
    return Line(
        item.field, item.value_linking is ConditionAND, bool(item.negated), [_value(each) for each in filled]
    )


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


def _value(value: SigmaType) -> Value:  # noqa: PLR0911  one for each kind
    name = type(value).__name__.removeprefix("Sigma")
    match value:
        case SigmaString():
            return ["text", isinstance(value, SigmaCasedString), _parts(value)] if value.s else ["empty"]
        case SigmaTimestampPart():
            return ["other", name]
        case SigmaNumber() | SigmaBool():
            return ["number", str(value).lower()]
        case SigmaRegularExpression():
            flags = sum(value.sigma_to_python_flags[flag] for flag in set(value.flags))
            text = str(value.regexp)
            return ["re", text, int(flags), sorted(literals_of(text, flags))]
        case SigmaCIDRExpression():
            return ["cidr", str(value.network)]
        case SigmaExists():
            return ["exists", bool(value.exists)]
        case SigmaNull():
            return ["null"]
        case SigmaCompareExpression() if not isinstance(value.number, SigmaTimestampPart):
            return ["compare", value.op.name, value.number.number]
        case SigmaFieldReference():
            return ["field", value.field, bool(value.starts_with), bool(value.ends_with)]
        case SigmaExpansion():
            return ["many", [_value(each) for each in value.values]]
        case _:
            return ["other", name]


def _parts(value: SigmaString) -> list[Part]:
    wild = {SpecialChars.WILDCARD_MULTI: MANY, SpecialChars.WILDCARD_SINGLE: ONE}
    return [
        part if isinstance(part, str) else wild[part]
        for part in value.s
        if isinstance(part, str) or part in wild
    ]
