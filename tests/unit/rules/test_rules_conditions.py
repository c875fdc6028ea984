"""Conditions mean what pySigma's grammar says they mean."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.rules import conditions
from tracer.rules.conditions import Linked, Name, Not, Selected, Tree, _by_pysigma, parse_condition
from tracer.rules.load import PACKS

names = st.sampled_from(
    ["selection", "a-b", "notsel", "and_x", "orchid", "of_x", "1", "all", "any", "_x", "0"]
)
patterns = st.sampled_from(["them", "selection_*", "*", "a*b", "1", "of"])
trees: st.SearchStrategy[str] = st.recursive(
    st.one_of(names, st.builds("{} of {}".format, st.sampled_from(["1", "any", "all"]), patterns)),
    lambda inner: st.one_of(
        st.builds("not {}".format, inner),
        st.builds("({})".format, inner),
        st.builds("{} and {}".format, inner, inner),
        st.builds("{}  or {}".format, inner, inner),
        st.builds("( {} or {} )".format, inner, inner),
    ),
    max_leaves=6,
)
noise = st.text("()* not and or of 1 all a_b-|\n", max_size=20)


def flat(tree: Tree) -> Tree:
    """The same, with brackets that change nothing left out."""
    match tree:
        case Not(child):
            return Not(flat(child))
        case Linked(children, every):
            parts: list[Tree] = []
            for child in map(flat, children):
                joined = isinstance(child, Linked) and child.all is every
                parts += child.children if joined else [child]  # type: ignore[union-attr]
            return Linked(tuple(parts), every)
        case _:
            return tree


def either(parse: object, text: str) -> Tree | None:
    try:
        return flat(parse(text))  # type: ignore[operator]
    except Exception:  # noqa: BLE001  whatever it makes of it
        return None


@settings(max_examples=400, deadline=None)
@given(st.one_of(trees, noise))
def test_both_say_the_same(text: str) -> None:
    assert either(parse_condition, text) == either(_by_pysigma, text)


def test_the_conditions_of_the_pack_are_read_without_the_grammar(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> Tree:
        raise AssertionError(text)

    monkeypatch.setattr(conditions, "_by_pysigma", refuse)
    for path in sorted(Path(PACKS).rglob("*.yml")):
        for document in yaml.safe_load_all(path.read_text()):
            if "detection" in document:
                parse_condition(document["detection"]["condition"])


def test_what_binds_more() -> None:
    assert parse_condition("a or not b and 1 of c_*") == Linked(
        (Name("a"), Linked((Not(Name("b")), Selected("c_*", False)), True)), False
    )
