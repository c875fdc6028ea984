"""Violations and actions as records of a trace, and back."""

from __future__ import annotations

from typing import Any

import pytest

from tracer.errors import TraceError
from tracer.events import Level, Response, Result, Rule, RuleKind, Subject, Taken
from tracer.rulings import action_record, actions_in, read_action, read_rule, rule_record

RULE = Rule("r", "Rule", Level.HIGH, RuleKind.POLICY, "about", ("T1",), Response.KILL)
TAKEN = Taken(
    5, Response.KILL, Result.DONE, "killed x", 7, True, "user 0", 9, RULE, Subject(4, "e", "x", "/bin/x")
)


@pytest.mark.parametrize(
    "taken",
    [
        TAKEN,
        Taken(1, Response.THAW, Result.REFUSED, "no"),
        Taken(1, Response.FREEZE, Result.WOULD, "", rule=RULE),
    ],
)
def test_an_action_there_and_back(taken: Taken) -> None:
    assert read_action(action_record(taken)) == taken


def test_a_rule_of_a_trace_from_before_there_were_actions() -> None:
    alert = Rule("r", "Rule", Level.HIGH, RuleKind.POLICY)
    assert "response" not in rule_record(alert)
    assert read_rule(rule_record(alert)) == alert


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "dance"},
        {"result": 4},
        {"time_ns": -1},
        {"message": None},
        {"rule": []},
        {"rule": {"id": 1}},
        {"rule": rule_record(RULE) | {"response": "shout"}},
        {"process": {"pid": "4"}},
        {"event": 1 << 70},
    ],
)
def test_what_is_no_action(changes: dict[str, Any]) -> None:
    record = action_record(TAKEN) | changes
    with pytest.raises(TraceError):
        read_action(record)
    assert list(actions_in([record, {"type": "notice"}, action_record(TAKEN)])) == [TAKEN]
