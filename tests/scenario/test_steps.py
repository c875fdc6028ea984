"""Steps and what the kernel saw, joined: an agent of thirty steps, two of which go astray.

The same agent three times, its steps told by marks, by the environment of what it starts, and not at all but
in what it writes down, by a clock that is hours off: one table.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .driver import ROOT, Rubicon

# Step 9 leaves something behind that writes where it may not while step 20 is open; step 15 does so at once.
AGENT = """
import contextlib, datetime, json, os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from tracer import step

by, port = sys.argv[2:]
lines = []

def say(kind, **block):
    now = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=3, seconds=17)
    message = {"role": kind, "content": [block]}
    lines.append({"type": kind, "timestamp": now.isoformat(), "sessionId": "e1", "message": message})

for number in range(1, 31):
    command = f"echo {number} > ok/{number}"
    if number == 9:
        command = "(read go; echo > late) <go &"
    elif number == 12:
        command = f"exec 3<>/dev/tcp/127.0.0.1/{port}; cat ok/11 'ok/10' >ok/12"
    elif number == 15:
        command = "echo > at-once"
    elif number == 20:
        command = "echo go >go; while [ ! -e late ]; do :; done"
    elif number in (25, 26):
        command = "touch ok/the-same; env >/dev/null"
    id = f"toolu_{number}"
    say("assistant", type="tool_use", id=id, name="Bash", input={"command": command})
    facts = {"tool": "Bash", "episode": "e1", "call_id": id, "command": command}
    told = step(**facts) if by == "marks" else contextlib.nullcontext()
    environment = {**os.environ, "RUBICON_STEP": str(number)} if by == "environment" else None
    with told:
        subprocess.run(["bash", "-c", command], check=True, env=environment)
    say("user", type="tool_result", tool_use_id=id, content="")
with open("ok/session.jsonl", "w") as file:
    file.writelines(json.dumps(line) + "\\n" for line in lines)
"""


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.timeout(180)
def test_each_act_lands_on_the_step_that_began_it(rubicon: Rubicon, port: int) -> None:
    policy = rubicon.policy(f"files:\n  write: ['{rubicon.work}/ok/**', '{rubicon.work}/go', /dev/null]\n")
    (rubicon.work / "agent.py").write_text(AGENT)
    marks, environment, afterwards = (
        run(rubicon, policy, by, port) for by in ("marks", "environment", "none")
    )

    assert rubicon.do("steps", afterwards, "--json").stdout.count("\n") == 1
    trajectory = rubicon.work / "ok/session.jsonl"
    done = rubicon.do(
        "correlate", afterwards, "--trajectory", trajectory, "--format", "claude-code", "--json"
    )
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["confidence"] for line in done.stdout.splitlines()] == [0.99] * 30
    assert "30 of 30 steps found; the agent's clock was 10817." in done.stderr
    refused = rubicon.do("correlate", marks, "--trajectory", trajectory, "--format", "claude-code")
    assert (refused.returncode, "its steps were told while it was recorded" in refused.stderr) == (2, True)

    table = steps(rubicon, marks)
    assert {step["step"]: step["violations"] for step in table[:-1] if step["violations"]} == {
        "9": 1,
        "15": 1,
    }
    assert [step.get("step") for step in table] == [*map(str, range(1, 31)), None]
    assert [f"{rubicon.work}/ok/{number}" in table[number - 1]["files"] for number in (1, 2, 3)] == [True] * 3
    peer = f"127.0.0.1:{port}"
    assert [step["step"] for step in table[:-1] if peer in step["peers"]] == ["12"]
    assert [step["commands"] for step in table[24:26]] == [3, 3]
    assert steps(rubicon, environment) == table
    assert steps(rubicon, afterwards) == table
    for trace in (marks, environment, afterwards):
        exported = rubicon.do("export", trace, "--format", "steps").stdout.splitlines()
        labels = {step["step"]: step["label"] for step in map(json.loads, exported)}
        assert {step for step, label in labels.items() if label == "violated"} == {"9", "15"}
    assert rubicon.verify(afterwards) == (0, "intact")


def run(rubicon: Rubicon, policy: Path, by: str, port: int) -> Path:
    for name in ("late", "at-once", "go"):
        (rubicon.work / name).unlink(missing_ok=True)
    (rubicon.work / "ok").mkdir(exist_ok=True)
    os.mkfifo(rubicon.work / "go")
    trace = rubicon.folder / f"{by}.trace"
    python = (sys.executable, "-B", "agent.py", ROOT, by, str(port))
    done = rubicon.do("run", "--policy", policy, "--trace", trace, "--", *python, timeout=100)
    assert done.returncode == 0, done.stderr
    assert ("(step 15)" in done.stderr) == (by != "none")
    return trace


def steps(rubicon: Rubicon, trace: Path) -> list[dict[str, Any]]:
    """Without the times, and the names that an environment does not tell."""
    found = [json.loads(line) for line in rubicon.do("steps", trace, "--json").stdout.splitlines()]
    left_out = {"start", "end", "tool", "episode", "call_id", "confidence"}
    return [{name: value for name, value in step.items() if name not in left_out} for step in found]
