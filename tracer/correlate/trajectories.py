"""The files in which agents write down what they called -> calls, in order of time.

    claude-code     ~/.claude/projects/*/SESSION.jsonl: tool_use and tool_result blocks of messages
    openhands       events with an action and its observation; also the history in an output.jsonl, and
                    the ActionEvent and ObservationEvent of newer ones
    swe-agent       *.traj: actions without times
    mini-swe-agent  *.traj.json: messages; times are told from version 2 on
    otlp            OTLP/JSON lines of spans of gen_ai.operation.name execute_tool
    jsonl           an object a call: command, and as far as known step, tool, call_id, episode, begin, end
                    (RFC 3339, or seconds since the Unix epoch), trace_id, span_id

Nothing in such a file is believed but what was called, and when: what is not there, or of another kind than
it should be, is passed over. Names are cut to what a step told live may have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tracer.correlate.calls import Call
from tracer.errors import UsageError
from tracer.marking import cut
from tracer.text import printable

BYTES_MAX = 1 << 30
CALLS_MAX = 100_000
_FENCED = re.compile(r"```(?:bash|sh|mswea_bash_command)\s*\n(.*?)\n```", re.DOTALL)
_CONTEXT = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}")


def read(path: Path, form: str) -> list[Call]:
    """Raises UsageError when it cannot be read, or holds no call in that format."""
    try:
        if path.stat().st_size > BYTES_MAX:
            raise UsageError(f"{printable(str(path))} is larger than {BYTES_MAX} bytes")
        text = path.read_text("utf-8", "surrogateescape")
    except OSError as error:
        raise UsageError(f"cannot read {printable(str(path))}: {error.strerror}") from None
    found = list(FORMATS[form](_values(text)))[:CALLS_MAX]
    if not found:
        raise UsageError(f"there is no call in {printable(str(path))}, read as {form}")
    if all(call.begin_ns for call in found):
        found.sort(key=lambda call: call.begin_ns)
    return [replace(call, step=call.step or str(number)) for number, call in enumerate(found, start=1)]


def _values(text: str) -> list[Any]:
    """One JSON value, or one a line; lines that are none are passed over, as the last of a log may be."""
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        return [value for line in text.splitlines() if (value := _parsed(line)) is not None]


def _parsed(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


# Each format: the values of a file -> calls


def _claude_code(values: list[Any]) -> Iterable[Call]:
    calls: dict[str, Call] = {}
    for line in _mappings(values):
        time_ns = _time_ns(line.get("timestamp"))
        for block in _mappings(_at(line, "message", "content")):
            if block.get("type") == "tool_use":
                call_id = _text(block.get("id"))
                calls[call_id or str(len(calls))] = _call(
                    tool=block.get("name"), call_id=call_id, episode=line.get("sessionId"),
                    command=_at(block, "input", "command"), begin_ns=time_ns,
                )  # fmt: skip
            elif block.get("type") == "tool_result":
                _answer(calls, _text(block.get("tool_use_id")), time_ns)
    return calls.values()


def _openhands(values: list[Any]) -> Iterable[Call]:
    """Both kinds of events; what a call was is known by the id of its event, or of the call."""
    calls: dict[str, Call] = {}
    for event, episode in _events(values):
        time_ns = _time_ns(event.get("timestamp"))
        kind, action = event.get("kind"), event.get("action")
        if kind == "ActionEvent":
            call_id = _text(event.get("tool_call_id"))
            command = _at(action, "command")
            calls[call_id or str(len(calls))] = _call(
                tool=event.get("tool_name"),
                call_id=call_id,
                episode=episode,
                command=command,
                begin_ns=time_ns,
            )
        elif kind == "ObservationEvent":
            _answer(calls, _text(event.get("tool_call_id")), time_ns)
        elif isinstance(action, str) and event.get("source") == "agent" and action not in _NO_TOOLS:
            meta = event.get("tool_call_metadata")
            calls[str(event.get("id"))] = _call(
                tool=_at(meta, "function_name") or action, call_id=_at(meta, "tool_call_id"), episode=episode,
                command=_at(event, "args", "command" if action == "run" else "code"), begin_ns=time_ns,
            )  # fmt: skip
        elif "observation" in event:
            _answer(calls, str(event.get("cause")), time_ns)
    return calls.values()


_NO_TOOLS = ("message", "system", "recall", "finish", "think", "change_agent_state", "null", "condensation")


def _events(values: list[Any]) -> Iterator[tuple[Mapping[str, Any], str]]:
    for value in values:
        if isinstance(value, list):
            yield from ((event, "") for event in _mappings(value))
        elif isinstance(value, Mapping):
            history = value.get("history", value.get("trajectory", value.get("events")))
            if isinstance(history, list):
                yield from ((event, _text(value.get("instance_id"))) for event in _mappings(history))
            else:
                yield value, ""


def _swe_agent(values: list[Any]) -> Iterable[Call]:
    for value in _mappings(values):
        for step in _mappings(value.get("trajectory")):
            ids = step.get("tool_call_ids")
            call_id = ids[0] if isinstance(ids, list) and ids else ""
            if command := _text(step.get("action")).strip():
                yield _call(tool="bash", command=command, call_id=call_id, episode=value.get("environment"))


def _mini_swe_agent(values: list[Any]) -> Iterable[Call]:
    """A message of the assistant with its actions; what follows it is the answer."""
    for value in _mappings(values):
        waiting: list[Call] = []
        for message in _mappings(value.get("messages")):
            time_ns = _time_ns(_at(message, "extra", "timestamp"))
            yield from (replace(call, end_ns=time_ns) for call in waiting)
            waiting = list(_actions(message, time_ns)) if message.get("role") == "assistant" else []
        yield from waiting


def _actions(message: Mapping[str, Any], time_ns: int) -> Iterator[Call]:
    actions = _at(message, "extra", "actions")
    if not isinstance(actions, list):
        content = message.get("content")
        actions = _FENCED.findall(content) if isinstance(content, str) else []
    for action in actions:
        command, call_id = (action, "") if isinstance(action, str) else (
            _at(action, "command"), _at(action, "tool_call_id"),
        )  # fmt: skip
        if text := _text(command).strip():
            yield _call(tool="bash", command=text, call_id=call_id, begin_ns=time_ns)


def _otlp(values: list[Any]) -> Iterable[Call]:
    """https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-agent-spans/#execute-tool-span"""
    for value in _mappings(values):
        for resource in _mappings(value.get("resourceSpans")):
            for scope in _mappings(resource.get("scopeSpans")):
                for span in _mappings(scope.get("spans")):
                    about = _attributes(span.get("attributes"))
                    if about.get("gen_ai.operation.name") == "execute_tool":
                        yield _of_span(span, about)


def _of_span(span: Mapping[str, Any], about: Mapping[str, Any]) -> Call:
    arguments = about.get("gen_ai.tool.call.arguments")
    given = _parsed(arguments) if isinstance(arguments, str) else arguments
    return _call(
        tool=about.get("gen_ai.tool.name"),
        call_id=about.get("gen_ai.tool.call.id"),
        episode=about.get("gen_ai.conversation.id"),
        command=_at(given, "command"),
        begin_ns=_whole(span.get("startTimeUnixNano")),
        end_ns=_whole(span.get("endTimeUnixNano")),
        **_context(span.get("traceId"), span.get("spanId")),
    )


def _context(trace_id: Any, span_id: Any) -> dict[str, Any]:
    """Of W3C Trace Context; nothing when it is not one."""
    both = f"{_text(trace_id)}-{_text(span_id)}".lower()
    return (
        dict(zip(("trace_id", "span_id"), both.split("-"), strict=True)) if _CONTEXT.fullmatch(both) else {}
    )


def _attributes(listed: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for each in _mappings(listed):
        value = each.get("value")
        if isinstance(value, Mapping) and value:
            found[_text(each.get("key"))] = next(iter(value.values()))
            if isinstance(inner := value.get("kvlistValue"), Mapping):
                found[_text(each.get("key"))] = _attributes(inner.get("values"))
    return found


def _jsonl(values: list[Any]) -> Iterable[Call]:
    listed = values[0] if len(values) == 1 and isinstance(values[0], list) else values
    for each in _mappings(listed):
        if "command" in each or "tool" in each or "step" in each:
            names: dict[str, Any] = {
                name: each.get(name) for name in ("step", "command", "tool", "call_id", "episode")
            }
            context = _context(each.get("trace_id"), each.get("span_id"))
            yield _call(
                begin_ns=_time_ns(each.get("begin")), end_ns=_time_ns(each.get("end")), **names, **context
            )


FORMATS: Mapping[str, Callable[[list[Any]], Iterable[Call]]] = {
    "claude-code": _claude_code,
    "openhands": _openhands,
    "swe-agent": _swe_agent,
    "mini-swe-agent": _mini_swe_agent,
    "otlp": _otlp,
    "jsonl": _jsonl,
}


# What may be anything


def _call(*, begin_ns: int = 0, end_ns: int = 0, command: Any = "", **names: Any) -> Call:
    words = cut({name: _text(value) for name, value in names.items()})
    return Call(words.pop("step", ""), _text(command), **words, begin_ns=begin_ns, end_ns=end_ns)


def _answer(calls: dict[str, Call], call_id: str, time_ns: int) -> None:
    if call_id in calls and not calls[call_id].end_ns:
        calls[call_id] = replace(calls[call_id], end_ns=time_ns)


def _mappings(value: Any) -> Iterator[Mapping[str, Any]]:
    return (each for each in value if isinstance(each, Mapping)) if isinstance(value, list) else iter(())


def _at(value: Any, *names: str) -> Any:
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _text(value: Any) -> str:
    """Text that can be turned into bytes; numbers as they are written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        return ""
    try:
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return ""


def _whole(value: Any) -> int:
    try:
        found = int(value)
    except (TypeError, ValueError):
        return 0
    return found if 0 < found < 1 << 63 else 0


def _time_ns(value: Any) -> int:
    """RFC 3339, without a zone taken for UTC (the skew makes up for it), or seconds; 0 when it is neither."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < 1e11:
        return int(value * 1e9)
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return 0
    if moment is None:
        return 0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return _whole(int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1_000)
