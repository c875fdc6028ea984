"""What agents write down, each format as its agent writes it, and whatever else may be in such a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tracer.correlate.calls import Call
from tracer.correlate.trajectories import FORMATS, read
from tracer.errors import UsageError

T = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
SECOND = 1_000_000_000


def lines(*values: Any) -> str:
    return "".join(json.dumps(value) + "\n" for value in values)


def claude(kind: str, second: int, *blocks: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": kind,
        "timestamp": f"2026-01-01T00:00:{second:02}.500Z",
        "sessionId": "s-1",
        "uuid": "u",
        "cwd": "/work",
        "message": {"role": kind, "content": list(blocks)},
    }


CLAUDE_CODE = (
    lines(
        {"type": "summary", "summary": "a session", "leafUuid": "u"},
        {
            "type": "user",
            "timestamp": "2026-01-01T00:00:00Z",
            "message": {"role": "user", "content": "do it"},
        },
        claude(
            "assistant",
            1,
            {"type": "text", "text": "Two at once."},
            {
                "type": "tool_use",
                "id": "toolu_1",
                "name": "Bash",
                "input": {"command": "ls -l", "timeout": 5},
            },
            {"type": "tool_use", "id": "toolu_2", "name": "Read", "input": {"file_path": "/work/a"}},
        ),
        claude("user", 3, {"type": "tool_result", "tool_use_id": "toolu_2", "content": "x"}),
        claude(
            "user", 2, {"type": "tool_result", "tool_use_id": "toolu_1", "content": [], "is_error": False}
        ),
    )
    + '{"type": "assistant", "mess'
)  # the last line, not yet all written

OPENHANDS = json.dumps(
    [
        {
            "id": 0,
            "timestamp": "2026-01-01T00:00:00.000000",
            "source": "user",
            "action": "message",
            "args": {},
        },
        {
            "id": 1,
            "timestamp": "2026-01-01T00:00:01.500000",
            "source": "agent",
            "action": "run",
            "args": {"command": "make test", "thought": "try", "is_input": "false"},
            "tool_call_metadata": {"function_name": "execute_bash", "tool_call_id": "call_1"},
        },
        {
            "id": 2,
            "timestamp": "2026-01-01T00:00:02.500000",
            "source": "agent",
            "cause": 1,
            "observation": "run",
            "content": "ok",
            "extras": {"command": "make test", "metadata": {"exit_code": 0}},
        },
        {"id": 3, "timestamp": "2026-01-01T00:00:03", "source": "agent", "action": "think", "args": {}},
        {
            "id": 4,
            "timestamp": "2026-01-01T00:00:04",
            "source": "agent",
            "action": "run_ipython",
            "args": {"code": "1 + 1"},
        },
    ]
)
OPENHANDS_NEWER = lines(
    {"kind": "MessageEvent", "source": "user", "timestamp": "2026-01-01T00:00:00"},
    {
        "kind": "ActionEvent",
        "source": "agent",
        "timestamp": "2026-01-01T00:00:01.500000",
        "tool_name": "terminal",
        "tool_call_id": "call_1",
        "action": {"kind": "TerminalAction", "command": "make test", "is_input": False},
    },
    {
        "kind": "ObservationEvent",
        "timestamp": "2026-01-01T00:00:02.500000",
        "tool_call_id": "call_1",
        "observation": {"content": [], "is_error": False},
    },
)
SWE_AGENT = json.dumps(
    {
        "environment": "swe_main",
        "trajectory": [
            {"action": "ls -F\n", "observation": "a", "execution_time": 0.5, "state": {}, "thought": "look"},
            {"action": "", "observation": "exit", "thought": "done"},
            {"action": "submit", "observation": "", "tool_call_ids": ["call_2"], "query": [{}]},
        ],
        "history": [],
        "info": {"exit_status": "submitted"},
    }
)
MINI_1 = json.dumps(
    {
        "info": {"mini_version": "1.9"},
        "messages": [
            {"role": "system", "content": "```bash\nnot this\n```"},
            {"role": "assistant", "content": "THOUGHT: look\n\n```bash\nls\ncat a\n```"},
            {"role": "user", "content": "<returncode>0</returncode>"},
        ],
        "trajectory_format": "mini-swe-agent-1",
    }
)
MINI_2 = json.dumps(
    {
        "info": {},
        "messages": [
            {
                "role": "assistant",
                "content": "",
                "extra": {
                    "actions": [
                        {"command": "ls", "tool_call_id": "call_1"},
                        {"command": "pwd", "tool_call_id": "call_2"},
                    ],
                    "timestamp": T / SECOND + 1.5,
                },
            },
            {"role": "tool", "content": "", "extra": {"returncode": 0, "timestamp": T / SECOND + 2.5}},
            {"role": "exit", "content": "", "extra": {}},
        ],
        "trajectory_format": "mini-swe-agent-1.1",
    }
)


def span(name: str, **attributes: Any) -> dict[str, Any]:
    return {
        "traceId": "AB" * 16,
        "spanId": "cd" * 8,
        "name": name,
        "startTimeUnixNano": str(T + SECOND),
        "endTimeUnixNano": str(T + 2 * SECOND),
        "attributes": [{"key": key, "value": value} for key, value in attributes.items()],
    }


OTLP = lines(
    {
        "resourceSpans": [
            {
                "scopeSpans": [
                    {
                        "spans": [
                            span("chat m", **{"gen_ai.operation.name": {"stringValue": "chat"}}),
                            span(
                                "execute_tool bash",
                                **{
                                    "gen_ai.operation.name": {"stringValue": "execute_tool"},
                                    "gen_ai.tool.name": {"stringValue": "bash"},
                                    "gen_ai.tool.call.id": {"stringValue": "call_1"},
                                    "gen_ai.conversation.id": {"stringValue": "c-1"},
                                    "gen_ai.tool.call.arguments": {"stringValue": '{"command": "ls"}'},
                                },
                            ),
                        ]
                    }
                ]
            }
        ]
    }
)
JSONL = lines(
    {"step": 7, "command": "ls", "begin": "2026-01-01T01:00:01+01:00", "end": T / SECOND + 2, "tool": "sh"},
    {"step": "a", "tool": "fetch", "begin": "2026-01-01T00:00:00.5Z", "episode": "e", "call_id": "c"},
    {"no": "call"},
)


def test_claude_code(tmp_path: Path) -> None:
    assert found(tmp_path, CLAUDE_CODE, "claude-code") == [
        Call("1", "ls -l", "Bash", "toolu_1", "s-1", T + 1_500_000_000, T + 2_500_000_000),
        Call("2", "", "Read", "toolu_2", "s-1", T + 1_500_000_000, T + 3_500_000_000),
    ]


def test_openhands(tmp_path: Path) -> None:
    first = Call("1", "make test", "execute_bash", "call_1", "", T + 1_500_000_000, T + 2_500_000_000)
    second = Call("2", "1 + 1", "run_ipython", "", "", T + 4 * SECOND)
    assert found(tmp_path, OPENHANDS, "openhands") == [first, second]
    output = lines({"instance_id": "django-1", "history": json.loads(OPENHANDS), "metrics": {}})
    assert [call.episode for call in found(tmp_path, output, "openhands")] == ["django-1"] * 2
    newer = Call("1", "make test", "terminal", "call_1", "", T + 1_500_000_000, T + 2_500_000_000)
    assert found(tmp_path, OPENHANDS_NEWER, "openhands") == [newer]


def test_swe_agent(tmp_path: Path) -> None:
    assert found(tmp_path, SWE_AGENT, "swe-agent") == [
        Call("1", "ls -F", "bash", "", "swe_main"),
        Call("2", "submit", "bash", "call_2", "swe_main"),
    ]


def test_mini_swe_agent(tmp_path: Path) -> None:
    assert found(tmp_path, MINI_1, "mini-swe-agent") == [Call("1", "ls\ncat a", "bash")]
    assert found(tmp_path, MINI_2, "mini-swe-agent") == [
        Call("1", "ls", "bash", "call_1", "", T + 1_500_000_000, T + 2_500_000_000),
        Call("2", "pwd", "bash", "call_2", "", T + 1_500_000_000, T + 2_500_000_000),
    ]


def test_otlp(tmp_path: Path) -> None:
    expected = Call("1", "ls", "bash", "call_1", "c-1", T + SECOND, T + 2 * SECOND, "ab" * 16, "cd" * 8)
    assert found(tmp_path, OTLP, "otlp") == [expected]


def test_jsonl(tmp_path: Path) -> None:
    assert found(tmp_path, JSONL, "jsonl") == [
        Call("a", "", "fetch", "c", "e", T + 500_000_000),
        Call("7", "ls", "sh", "", "", T + SECOND, T + 2 * SECOND),
    ]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[[[[1]]]]",
        '{"messages": 7, "trajectory": {"a": 1}, "resourceSpans": [[]], "history": "x"}',
        '{"messages": [7, {"role": "assistant", "content": 3, "extra": []}], "trajectory": [{"action": []}]}',
        '[{"kind": "ActionEvent"}, {"observation": 1}, {"action": "run", "args": 3, "id": []}]'.replace(
            '"kind": "ActionEvent"', '"kind": 1'
        ),
        '{"type": "assistant", "message": {"content": [{"type": "tool_result"}, 3, null]}}',
        '{"resourceSpans": [{"scopeSpans": [{"spans": [{"attributes": [{"key": 1, "value": {}}]}, 1]}]}]}',
        "[" * 100_000,
        "\udcff\udcfe",
    ],
)
def test_a_file_without_calls_says_so(tmp_path: Path, form: str, text: str) -> None:
    with pytest.raises(UsageError, match=r"there is no call in .*, read as"):
        found(tmp_path, text, form)


@pytest.mark.parametrize("wrong", [-1, 1e300, True, [], {}, "soon", "\ud800", None, "0001-01-01T00:00:00"])
def test_a_wrong_time_or_name_is_none(tmp_path: Path, wrong: Any) -> None:
    text = lines({"command": "ls", "begin": wrong, "end": wrong, "call_id": wrong if wrong != "soon" else ""})
    (call,) = found(tmp_path, text, "jsonl")
    assert (call.begin_ns, call.end_ns, call.command) == (0, 0, "ls")


def test_names_are_cut(tmp_path: Path) -> None:
    (call,) = found(tmp_path, lines({"command": "x" * 9_000, "tool": "y" * 9_000}), "jsonl")
    assert (len(call.command), len(call.tool)) == (9_000, 256)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*: No such file"):
        read(tmp_path / "none", "jsonl")


def found(folder: Path, text: str, form: str) -> list[Call]:
    path = folder / "trajectory"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return read(path, form)
