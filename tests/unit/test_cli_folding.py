"""A flood of the same violation is a line and numbers, and every one of it is counted."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

from tests.export_samples import SESSION, items
from tests.unit.test_cli_live import CLEAN
from tracer.cli.folding import Folding
from tracer.cli.live import Voice, describe
from tracer.events import Match, Violation


def sample() -> Violation:
    return next(violation for _event, violations in items() for violation in violations)


def other(number: int) -> Violation:
    return replace(sample(), matched=(Match("file.path", f"/x{number}"),))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_at_once_then_numbers() -> None:
    clock = Clock()
    folding = Folding(clock=clock)
    told: list[int] = []
    for _ in range(2300):
        told += [count for _violation, count in folding.take(sample())]
        clock.now += 0.001
    assert told[0] == 0
    assert len(told) == 3
    told += [count for _violation, count in folding.rest()]
    assert sum(told) == 2299
    assert list(folding.rest()) == []


def test_what_stopped_is_told_when_something_else_happens() -> None:
    clock = Clock()
    folding = Folding(clock=clock)
    for _ in range(7):
        list(folding.take(other(1)))
    clock.now = 2
    assert [(each.matched, count) for each, count in folding.take(other(2))] == [
        (other(2).matched, 0),
        (other(1).matched, 6),
    ]


def test_different_ones_are_all_told() -> None:
    folding = Folding(clock=Clock())
    found = [count for number in range(97) for _each, count in folding.take(other(number))]
    assert found == [0] * 97


def test_no_more_are_remembered_than_fit() -> None:
    folding = Folding(kept=3, clock=Clock())
    for _ in range(5):
        list(folding.take(other(0)))
    told = [each for number in range(1, 5) for each in folding.take(other(number))]
    assert [count for _each, count in told] == [0, 0, 0, 4, 0]
    assert len(folding._told) == 3


def test_people_get_numbers_and_programs_every_line() -> None:
    lines, said = io.StringIO(), io.StringIO()
    voice = Voice(lines, SESSION, said)
    for _ in range(5):
        voice.violations([sample()] * 11)
    voice.closing(CLEAN, Path("/t"))
    assert said.getvalue().splitlines()[:2] == [
        f"rubicon: {describe(sample())}",
        f"rubicon: {describe(sample())} (54 more)",
    ]
    kinds = [json.loads(line)["event"]["kind"] for line in lines.getvalue().splitlines()]
    assert kinds == ["alert"] * 55 + ["metric"]
