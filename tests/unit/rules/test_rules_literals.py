"""What is looked for before a regular expression is in every text that RE2 finds it in."""

from __future__ import annotations

import re

import pytest
import re2  # type: ignore[import-untyped]
from hypothesis import given, settings
from hypothesis import strategies as st

from tracer.rules.literals import literals_of
from tracer.rules.sigmaline import SIGMA_POLICY


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        (r"/\.ssh/(?:config|rc)$", {"/.ssh/"}),
        (r"^/(?:usr/)?s?bin/[^/]+$", {"bin/"}),
        (r"^(?:curl|wget) ", {"curl", "wget"}),
        (r"(?:ab|cd?|)x", {"x"}),
        (r"(?:long enough){2,}|[abc]y", {"long enough", "y"}),
        (r"Nc\s+-e", {"nc"}),
        (r"(?i)NCs", {"nc"}),  # RE2 lets a long s pass for an s
        (r"(?:a?|b)", set()),
        (r"\d+", set()),
        (r"[[:alpha:]]x", set()),  # a class to RE2, and to Python a bracket behind a set
        (r"a{,5}b", {"b"}),
        (r"\pL", set()),  # Python does not know it
        ("é", set()),
    ],
)
def test_what_is_known(expression: str, found: set[str]) -> None:
    assert literals_of(expression, 0) == found


CHARACTERS = "aAsSkK/.-\u017f\u212a1é"  # among them a long s and the sign for Kelvin
ATOMS = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=4).map(re.escape),
    st.sampled_from([".", r"\d", r"\w", "[ak]", "[^a]", "^", "$", r"\b", r"\x41", "(?i:sk)", ""]),
)
EXPRESSIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=4).map("".join),
        st.lists(inner, min_size=1, max_size=3).map(lambda each: f"(?:{'|'.join(each)})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{,2}", "+?", "*?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=300, deadline=None)
@given(st.data(), EXPRESSIONS, st.sampled_from([0, re.IGNORECASE]))
def test_every_text_that_matches_has_one(data: st.DataObject, expression: str, flags: int) -> None:
    try:
        python, found = re.compile(expression, flags), SIGMA_POLICY.regex_engine.compile(expression, flags)
    except (re.error, re2.error):
        return
    near = st.from_regex(python, alphabet=st.sampled_from(CHARACTERS + "xyz ,{}2"))
    text = data.draw(st.text(CHARACTERS, max_size=2)) + data.draw(near | st.text(CHARACTERS, max_size=6))
    literals = literals_of(expression, flags)
    if literals and found.search(text):
        assert any(literal in text.lower() for literal in literals)
