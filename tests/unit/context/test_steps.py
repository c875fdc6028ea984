"""Which step an event belongs to: the one that started its process, however late it acts."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import SECOND_NS, SESSION, execve, fork, opened
from tracer.context import Context
from tracer.context.steps import MARKS_KEPT
from tracer.events import Event, Step
from tracer.records import Record

AGENT = 100


@pytest.fixture
def context() -> Context:
    made = Context(SESSION)
    made.event(execve(AGENT, "/bin/agent", 10))
    return made


def begin(context: Context, step: str, time_ns: int, **facts: Any) -> None:
    record = {"type": "step", "op": "begin", "step": step, "time_ns": time_ns}
    assert context.learn([record | facts]) == 0


def end(context: Context, step: str, time_ns: int, call_id: str = "") -> None:
    record = {"type": "step", "op": "end", "step": step, "time_ns": time_ns, "call_id": call_id}
    assert context.learn([record]) == 0


def step_of(context: Context, record: Record) -> str | None:
    event = context.event(record)
    assert isinstance(event, Event)
    return event.step and event.step.id


def test_the_agent_acts_for_the_step_that_is_open(context: Context) -> None:
    assert step_of(context, opened(AGENT, "/a", 20)) is None
    begin(context, "1", 30)
    assert step_of(context, opened(AGENT, "/a", 29)) is None, "drained late"
    assert step_of(context, opened(AGENT, "/a", 30)) == "1"
    end(context, "1", 40)
    assert step_of(context, opened(AGENT, "/a", 39)) == "1"
    assert step_of(context, opened(AGENT, "/a", 40)) is None


def test_what_outlives_its_step_stays_of_it(context: Context) -> None:
    begin(context, "1", 20)
    assert step_of(context, fork(101, AGENT, 21)) == "1"
    end(context, "1", 30)
    begin(context, "2", 40)
    assert step_of(context, opened(101, "/a", 41)) == "1"
    assert step_of(context, fork(102, 101, 42)) == "1"
    assert step_of(context, execve(102, "/bin/miner", 43)) == "1"
    assert step_of(context, fork(103, AGENT, 44)) == "2"
    end(context, "2", 50)
    assert step_of(context, opened(102, "/a", 60)) == "1"


def test_a_kept_shell_works_for_the_step_that_names_it(context: Context) -> None:
    begin(context, "1", 20)
    assert step_of(context, fork(101, AGENT, 21)) == "1"
    end(context, "1", 30)
    begin(context, "2", 40, pid=101, start_ns=101 * SECOND_NS)
    assert step_of(context, fork(102, 101, 41)) == "2"
    assert step_of(context, fork(103, 102, 42)) == "2"
    assert step_of(context, fork(104, AGENT, 43)) is None, "not of that process"


def test_steps_at_once_are_told_apart_by_their_commands(context: Context) -> None:
    begin(context, "1", 20, command="make all")
    begin(context, "2", 21, command="curl x")
    assert step_of(context, fork(101, AGENT, 22)) == "2", "the newest, until it is known better"
    assert step_of(context, execve(101, "/bin/sh", 23, "sh", "-c", "make all")) == "1"
    assert step_of(context, fork(102, 101, 24)) == "1"
    assert step_of(context, fork(103, AGENT, 25)) == "2"
    assert step_of(context, execve(103, "/bin/sh", 26, "sh", "-c", "curl x")) == "2"
    end(context, "2", 27)
    assert step_of(context, opened(AGENT, "/a", 28)) == "1"


def test_a_program_that_came_from_outside_is_of_the_open_step(context: Context) -> None:
    begin(context, "1", 20)
    assert step_of(context, execve(300, "/bin/sh", 21, parent_pid=299)) == "1"
    end(context, "1", 30)
    assert step_of(context, opened(300, "/a", 31)) == "1"


def test_calls_end_by_their_id(context: Context) -> None:
    begin(context, "1", 20, call_id="a", tool="Bash", episode="e", trace_id="ab" * 16, span_id="cd" * 8)
    begin(context, "1", 21, call_id="b")
    end(context, "1", 30, call_id="a")
    event = context.event(opened(AGENT, "/a", 25))
    assert event is not None
    assert event.step is not None
    assert event.step.call_id == "b"
    assert [(step.call_id, step.tool, step.trace_id[:2]) for step in context.steps] == [
        ("a", "Bash", "ab"),
        ("b", "", ""),
    ]


def test_marks_have_a_bound(context: Context) -> None:
    for number in range(3 * MARKS_KEPT):
        begin(context, str(number), 20 + number)
    assert step_of(context, opened(AGENT, "/a", 10**6)) == str(3 * MARKS_KEPT - 1)


@pytest.mark.parametrize(
    "wrong",
    [
        {"step": ""},
        {"step": 7},
        {"time_ns": "soon"},
        {"op": None},
        {"trace_id": "zz", "span_id": ""},
        {"trace_id": "ab" * 16, "span_id": ""},
        {"pid": 7},
        {"tool": ["x"]},
    ],
)
def test_a_forged_record_is_none(context: Context, wrong: dict[str, Any]) -> None:
    record = {"type": "step", "op": "begin", "step": "1", "time_ns": 20}
    assert context.learn([record | wrong]) == 1
    assert step_of(context, opened(AGENT, "/a", 30)) is None


def test_an_open_step_outlasts_those_that_end(context: Context) -> None:
    begin(context, "long", 20)
    for number in range(MARKS_KEPT + 10):
        begin(context, f"short-{number}", 30 + 2 * number)
        end(context, f"short-{number}", 31 + 2 * number)
    last = 30 + 2 * (MARKS_KEPT + 9)
    assert step_of(context, opened(AGENT, "/a", last + 5)) == "long"
    assert step_of(context, opened(AGENT, "/a", last)) == f"short-{MARKS_KEPT + 9}", "drained late"
    assert step_of(context, opened(AGENT, "/a", last - 1)) == "long", "between two of them"


# --- what the environment says

TRACEPARENT = f"TRACEPARENT=00-{'ab' * 16}-{'cd' * 8}-01"


def test_the_environment_of_a_program_names_its_step_and_that_of_all_it_starts(context: Context) -> None:
    assert step_of(context, fork(101, AGENT, 20)) is None
    assert step_of(context, execve(101, "/bin/sh", 21, env=("RUBICON_STEP=7",))) == "7"
    assert step_of(context, fork(102, 101, 22)) == "7"
    assert step_of(context, execve(102, "/bin/env", 23)) == "7", "env -i"
    assert step_of(context, execve(102, "/bin/sh", 24, env=("RUBICON_STEP=8",))) == "8"
    assert step_of(context, opened(102, "/a", 25)) == "8"
    assert step_of(context, opened(101, "/a", 26)) == "7"
    assert step_of(context, opened(AGENT, "/a", 27)) is None
    assert [step.id for step in context.steps] == ["7", "8"]


@pytest.mark.parametrize(
    ("env", "step"),
    [
        (("RUBICON_STEP=7", TRACEPARENT), Step("7", trace_id="ab" * 16, span_id="cd" * 8)),
        ((TRACEPARENT,), Step("cd" * 8, trace_id="ab" * 16, span_id="cd" * 8)),
        (("RUBICON_STEP=first", "RUBICON_STEP=second"), Step("first")),
        (("RUBICON_STEP=", "TRACEPARENT=00-zz"), None),
        (("RUBICON_STEP=7", "TRACEPARENT=none"), Step("7")),
        (("RUBICON_STEP",), None),
    ],
)
def test_what_an_environment_says(context: Context, env: tuple[str, ...], step: Step | None) -> None:
    event = context.event(execve(101, "/bin/sh", 21, env=env))
    assert event is not None
    assert event.step == step


def test_marks_go_before_the_environment_an_agent_was_started_with(context: Context) -> None:
    assert step_of(context, execve(AGENT, "/bin/agent", 15, env=("RUBICON_STEP=0",))) == "0"
    begin(context, "1", 20)
    assert step_of(context, fork(101, AGENT, 21)) == "1"
    assert step_of(context, execve(101, "/bin/sh", 22, env=("RUBICON_STEP=0",))) == "1"
    end(context, "1", 30)
    assert step_of(context, opened(101, "/a", 31)) == "1"
    assert step_of(context, opened(AGENT, "/a", 32)) == "0"
    assert step_of(context, fork(102, AGENT, 33)) == "0"


def test_of_marks_that_are_open_the_environment_chooses(context: Context) -> None:
    begin(context, "1", 20, tool="Bash")
    begin(context, "2", 21, trace_id="ab" * 16, span_id="cd" * 8)
    begin(context, "3", 22)
    event = context.event(execve(101, "/bin/sh", 23, env=("RUBICON_STEP=1",)))
    assert event is not None
    assert event.step == Step("1", "Bash")
    assert step_of(context, execve(102, "/bin/sh", 24, env=(TRACEPARENT,))) == "2"
    assert step_of(context, fork(103, 101, 25)) == "1"


# --- steps that are known ahead


def test_marks_known_ahead_are_taken_in_as_time_goes_on() -> None:
    """However many: only those near are gone through."""
    marks = [
        {"type": "step", "op": op, "step": str(number), "time_ns": 10 * number + add, "confidence": 85}
        for number in range(2, 2 * MARKS_KEPT)
        for op, add in (("begin", 0), ("end", 9))
    ]
    made = Context(SESSION, marks)
    assert step_of(made, execve(AGENT, "/bin/agent", 10)) is None
    for number in range(2, 2 * MARKS_KEPT - 1):
        assert step_of(made, opened(AGENT, "/a", 10 * number + 5)) == str(number)
    assert {step.confidence for step in made.steps} == {85}
    assert [step.id for step in made.steps][-1] == str(2 * MARKS_KEPT - 1), "of which nothing came"
