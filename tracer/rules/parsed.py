"""One line of a detection, `Field|modifiers: values`, taken apart: data, which JSON can hold.

`sigmaline` makes it with pySigma, `prepared` keeps those of the pack, `items` makes tests of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MANY, ONE = 0, 1
"""The wildcards `*` and `?` among the parts of a text."""

Part = str | int
Value = Sequence[Any]
"""What it is, and what belongs to that:

text CASED PARTS        empty                number TEXT          re EXPRESSION FLAGS LITERALS
cidr NETWORK            null                 exists FLAG          compare OPERATOR NUMBER
field NAME STARTS ENDS  many VALUES          other NAME
"""

# As pySigma calls what cannot stand everywhere.
NAMES = {
    "empty": "String",
    "cidr": "CIDRExpression",
    "null": "Null",
    "exists": "Exists",
    "compare": "CompareExpression",
    "field": "FieldReference",
}


class NotHereError(Exception):
    """A rule that is right, but cannot be judged here; its text is the reason."""


@dataclass(frozen=True, slots=True)
class Line:
    """Without a field the values are keywords; `every` of them has to match, or one."""

    field: str | None
    every: bool
    negated: bool
    values: Sequence[Value]
