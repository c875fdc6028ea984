"""Steps from OpenTelemetry: spans of tool calls (GenAI conventions) tell the session that watches when they
begin and end.

    from opentelemetry.sdk.trace import TracerProvider
    from tracer.otel import StepProcessor

    provider = TracerProvider()
    provider.add_span_processor(StepProcessor())

A span is a step when its `gen_ai.operation.name` is `execute_tool`, told when it starts
(https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/#execute-tool-span). Its ids go with
it, so what the kernel saw can be joined with the agent's own traces. Where nobody watches it does nothing; it
never raises. It is not itself dependent on OpenTelemetry: it has the methods of its SpanProcessor.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tracer import marking
from tracer.errors import RubiconError

_OPERATION, _TOOL = "gen_ai.operation.name", "execute_tool"
_NAMES = {
    "tool": "gen_ai.tool.name",
    "call_id": "gen_ai.tool.call.id",
    "episode": "gen_ai.conversation.id",
}
_ARGUMENTS = "gen_ai.tool.call.arguments"


class StepProcessor:
    """`session`: a session or its trace; without it the one that `tracer.marking.socket_of` finds."""

    def __init__(self, session: str = "") -> None:
        self._session = session
        self._lock = threading.Lock()
        self._open: dict[int, tuple[str, str]] = {}  # step and call, by the id of the span

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        del parent_context
        attributes = getattr(span, "attributes", None) or {}
        if attributes.get(_OPERATION) != _TOOL:
            return
        context = span.get_span_context()
        facts = marking.cut(_facts(attributes))
        with suppress(RubiconError):
            step = marking.begin(
                marking.socket_of(self._session),
                step=f"{context.span_id:016x}",
                traceparent=f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}",
                **facts,
            )
            with self._lock:
                self._open[context.span_id] = step, facts["call_id"]

    def on_end(self, span: Any) -> None:
        with self._lock:
            told = self._open.pop(span.get_span_context().span_id, None)
        if told is not None:
            with suppress(RubiconError):
                marking.end(marking.socket_of(self._session), step=told[0], call_id=told[1])

    def _on_ending(self, span: Any) -> None:
        """Newer processors are asked just before the end, too."""

    def shutdown(self) -> None:
        """Nothing waits."""

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        del timeout_millis
        return True


def _facts(attributes: Mapping[str, Any]) -> dict[str, str]:
    facts = {name: str(attributes.get(key) or "") for name, key in _NAMES.items()}
    return {**facts, "command": _command(attributes.get(_ARGUMENTS))}


def _command(arguments: Any) -> str:
    """Of the arguments of a call, as JSON or as they are; "" when they are of no command."""
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except (ValueError, RecursionError):
            return ""
    command = arguments.get("command") if isinstance(arguments, Mapping) else ""
    return command if isinstance(command, str) else ""
