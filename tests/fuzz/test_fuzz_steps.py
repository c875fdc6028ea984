"""No trajectory, no file beside a trace and no environment, however odd, is more than wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.records import SESSION, execve, fork
from tracer.context import Context
from tracer.correlate.calls import Call, Ran
from tracer.correlate.commands import programs
from tracer.correlate.join import join
from tracer.correlate.steps import records
from tracer.correlate.trajectories import FORMATS, read
from tracer.errors import TraceError, UsageError
from tracer.trace import correlated_path, read_correlated

fuzz = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

# Words that mean something to one of the formats, so that more than the first look at a file is tried.
WORDS = (
    "type", "assistant", "user", "message", "content", "tool_use", "tool_result", "id", "tool_use_id",
    "name", "input", "command", "timestamp", "sessionId", "action", "run", "args", "source", "agent",
    "observation", "cause", "history", "trajectory", "kind", "ActionEvent", "ObservationEvent",
    "tool_call_id", "messages", "role", "extra", "actions", "resourceSpans", "scopeSpans", "spans",
    "attributes", "key", "value", "stringValue", "gen_ai.operation.name", "execute_tool",
    "gen_ai.tool.call.arguments", "traceId", "startTimeUnixNano", "step", "tool", "begin", "end",
)  # fmt: skip
TEXTS = st.sampled_from(WORDS) | st.text(max_size=20) | st.just("2026-01-01T00:00:00Z") | st.just("\ud800")
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=25,
)


@pytest.mark.parametrize("form", FORMATS)
@fuzz
@given(values=st.lists(VALUES, min_size=1, max_size=4))
def test_trajectories(tmp_path: Path, form: str, values: list[Any]) -> None:
    path = tmp_path / "trajectory"
    path.write_text("\n".join(json.dumps(value) for value in values))
    try:
        calls = read(path, form)
    except UsageError:
        return
    assert all(isinstance(call, Call) and call.step for call in calls)
    assert all(0 <= call.begin_ns < 1 << 63 and 0 <= call.end_ns < 1 << 63 for call in calls)


NUMBERS = st.integers(0, 1 << 62)
COMMANDS = st.sampled_from(("ls", "make -j2", "a 'b", "x; y | z >f", "")) | st.text(max_size=12)
CALLS = st.builds(Call, st.just("1"), COMMANDS, begin_ns=NUMBERS | st.just(0), end_ns=NUMBERS | st.just(0))
ARGS = st.lists(COMMANDS | st.just("-c") | st.just("sh"), max_size=4).map(tuple)
KEYS = st.tuples(st.integers(0, 5), st.integers(0, 5))
RANS = st.builds(Ran, KEYS, KEYS | st.none(), NUMBERS, NUMBERS | st.just(0), ARGS)


@fuzz
@given(calls=st.lists(CALLS, max_size=12), rans=st.lists(RANS, max_size=12), boot_ns=NUMBERS)
def test_joining(calls: list[Call], rans: list[Ran], boot_ns: int) -> None:
    """What comes out can be read, and no call is there twice."""
    found, skew = join(calls, rans)
    assert len(found) <= len(calls)
    assert all(0 < each.confidence <= 100 for each in found)
    assert len({id(each.rans[0]) for each in found if each.rans}) == sum(1 for each in found if each.rans)
    made = records(found, skew, boot_ns)
    assert [each["time_ns"] for each in made] == sorted(each["time_ns"] for each in made)
    context = Context(SESSION, made)
    context.event(execve(200, "/bin/sh", 1 << 62))
    assert len(context.steps) <= len(found)


@fuzz
@given(command=st.text(max_size=200))
def test_commands(command: str) -> None:
    assert all(argv for argv in programs(command))


@fuzz
@given(
    data=st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()), head=st.booleans()
)
def test_files_beside_a_trace(tmp_path: Path, data: bytes, head: bool) -> None:
    first = json.dumps({"type": "correlation", "version": 1, "session": "s1"}).encode() + b"\n"
    correlated_path(tmp_path / "t").write_bytes((first if head else b"") + data)
    try:
        steps = read_correlated(tmp_path / "t", SESSION)
    except TraceError:
        return
    context = Context(SESSION, steps)
    assert context.event(execve(200, "/bin/sh", 1 << 62)) is not None


@fuzz
@given(
    env=st.lists(st.text(max_size=30).map("RUBICON_STEP={}".format) | st.text(max_size=60), max_size=4).map(
        tuple
    )
)
def test_environments(env: tuple[str, ...]) -> None:
    context = Context(SESSION)
    event = context.event(execve(200, "/bin/sh", 10, env=env))
    assert event is not None
    child = context.event(fork(201, 200, 11))
    assert child is not None
    assert child.step == event.step
