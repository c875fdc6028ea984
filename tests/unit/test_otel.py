"""Steps told by OpenTelemetry's own spans, made with its SDK."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Tracer

from tracer import marking
from tracer.otel import StepProcessor
from tracer.session.steps import Steps


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Mapping[str, Any]]]:
    """What a session heard."""
    heard: list[Mapping[str, Any]] = []
    steps = Steps(tmp_path / "s.trace", heard.append)
    monkeypatch.setenv(marking.ENVIRONMENT, str(tmp_path / "s.trace.steps"))
    yield heard
    steps.close()


@pytest.fixture
def tracer() -> Iterator[Tracer]:
    provider = TracerProvider()
    provider.add_span_processor(StepProcessor())
    yield provider.get_tracer("agent")
    provider.shutdown()


def tool(name: str, **more: str) -> dict[str, str]:
    return {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": name, **more}


def test_a_tool_call_is_a_step_with_the_ids_of_its_span(
    told: list[Mapping[str, Any]], tracer: Tracer
) -> None:
    more = {
        "gen_ai.tool.call.id": "call_1",
        "gen_ai.conversation.id": "c-1",
        "gen_ai.tool.call.arguments": '{"command": "ls -l"}',
    }
    with (
        tracer.start_as_current_span("chat m", attributes={"gen_ai.operation.name": "chat"}),
        tracer.start_as_current_span("execute_tool bash", attributes=tool("bash", **more)) as span,
    ):
        context = span.get_span_context()
        assert [record["op"] for record in told] == ["begin"]
    begin, end = told
    assert (begin["step"], begin["span_id"]) == (f"{context.span_id:016x}", f"{context.span_id:016x}")
    assert begin["trace_id"] == f"{context.trace_id:032x}"
    assert [begin[name] for name in ("tool", "call_id", "episode", "command")] == [
        "bash",
        "call_1",
        "c-1",
        "ls -l",
    ]
    assert (end["op"], end["step"], end["call_id"]) == ("end", begin["step"], "call_1")


def test_calls_at_once_end_each_for_itself(told: list[Mapping[str, Any]], tracer: Tracer) -> None:
    first = tracer.start_span("execute_tool a", attributes=tool("a"))
    second = tracer.start_span("execute_tool b", attributes=tool("b"))
    first.end()
    second.end()
    assert [(record["op"], record["step"]) for record in told] == [
        (op, f"{span.get_span_context().span_id:016x}")
        for op, span in (("begin", first), ("begin", second), ("end", first), ("end", second))
    ]


@pytest.mark.parametrize("arguments", ["no json", "[]", '{"command": 7}', "[" * 100_000])
def test_arguments_that_are_no_command(told: list[Mapping[str, Any]], tracer: Tracer, arguments: str) -> None:
    with tracer.start_as_current_span(
        "x", attributes=tool("x" * 999, **{"gen_ai.tool.call.arguments": arguments})
    ):
        pass
    assert ("command" in told[0], len(told[0]["tool"])) == (False, 256)


def test_where_nobody_watches_it_does_nothing(
    tracer: Tracer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(marking.ENVIRONMENT, str(tmp_path / "none"))
    with tracer.start_as_current_span("execute_tool bash", attributes=tool("bash")) as span:
        assert span.is_recording()
