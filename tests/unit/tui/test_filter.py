from __future__ import annotations

import pytest

from tests.tui import scene
from tracer.events import Action
from tui.filter import Filter

STORY = scene.rome()
REFUSED = next(event for event in STORY.events if event.error and event.action is Action.CONNECT)


@pytest.mark.parametrize(
    ("text", "passes"),
    [
        ("", True),
        ("   ", True),
        ("connect", True),
        ("CONNECT 6379", True),
        ("connect 443", False),
        ("econnrefused failure", True),
        ("!connect", False),
        ("connect !443", True),
        ("4330", True),
        ("!", True),
    ],
)
def test_events(text: str, *, passes: bool) -> None:
    assert Filter.parse(text).passes_event(REFUSED) is passes


@pytest.mark.parametrize(
    ("text", "count"), [("t1572", 1), ("critical", 1), ("pool", 1), ("high !6379", 2), ("x y z", 0)]
)
def test_violations(text: str, count: int) -> None:
    chosen = Filter.parse(text)
    assert sum(chosen.passes_violation(violation) for violation in STORY.violations) == count


def test_only_a_filter_with_words_is_one() -> None:
    assert not Filter.parse(" ! ")
    assert Filter.parse("!x")
