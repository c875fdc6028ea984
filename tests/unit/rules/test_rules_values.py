from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from tracer.rules.parsed import MANY, Part
from tracer.rules.sigmaline import parse_line
from tracer.rules.values import Alternatives, regex_test, wildcard_test


def parts_of(pattern: str) -> Sequence[Part]:
    kind, *rest = parse_line("Image", pattern).values[0]
    return rest[1] if kind == "text" else ()


def slow_match(pattern: str, text: str) -> bool:
    """Sigma's wildcards by trying every possibility; reads the escapes itself."""

    @cache
    def match(left: int, right: int) -> bool:
        if left == len(pattern):
            return right == len(text)
        character = pattern[left]
        if character == "\\" and pattern[left + 1 : left + 2] in ("*", "?", "\\"):
            return text[right : right + 1] == pattern[left + 1] and match(left + 2, right + 1)
        if character == "*":
            return any(match(left + 1, cut) for cut in range(right, len(text) + 1))
        if right == len(text):
            return False
        return character in ("?", text[right]) and match(left + 1, right + 1)

    return match(0, 0)


@given(pattern=st.text("ab*?\\", max_size=10), text=st.text("ab*?\\\n", max_size=12))
def test_wildcards_agree_with_a_slow_evaluator(pattern: str, text: str) -> None:
    parts = parts_of(pattern)
    alternatives = Alternatives()
    alternatives.add_parts(parts)
    test = alternatives.test()
    assert test is not None
    expected = slow_match(pattern, text)
    assert test(text) is expected
    assert wildcard_test(parts)(text) is expected


@given(
    patterns=st.lists(st.text("ab*", min_size=1, max_size=4), min_size=1, max_size=5),
    text=st.text("ab", max_size=6),
)
def test_alternatives_are_any_of_them(patterns: list[str], text: str) -> None:
    alternatives = Alternatives()
    for pattern in patterns:
        alternatives.add_parts(parts_of(pattern))
    test = alternatives.test()
    assert test is not None
    assert test(text) is any(slow_match(pattern, text) for pattern in patterns)


def test_nothing_to_match_is_no_test() -> None:
    assert Alternatives().test() is None


def test_hostile_text_takes_no_longer_than_its_length() -> None:
    star = MANY
    many_stars = wildcard_test(["a", star, *(part for _ in range(30) for part in ("aa", star)), "b"])
    expression = regex_test("(a+)+$")
    began = time.process_time()
    assert not many_stars("a" * 200_000)
    assert not expression("a" * 200_000 + "b")
    assert time.process_time() - began < 1


def test_expressions_meet_bytes_that_are_no_text() -> None:
    assert regex_test("^x.y$")("x\udcffy")
    assert not regex_test("^xy$")("x\udcffy")
