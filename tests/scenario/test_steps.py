"""Steps and what the kernel saw, joined: an agent of thirty steps, two of which go astray."""

from __future__ import annotations

import json
import os
import sys

import pytest

from .driver import ROOT, Rubicon

# Step 9 leaves something behind that writes where it may not while step 20 is open; step 15 does so at once.
AGENT = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from tracer import step

left = None
for number in range(1, 31):
    command = f"echo {number} > ok/{number}"
    if number == 9:
        command = "(read go; echo > late) <go &"
    elif number == 15:
        command = "echo > at-once"
    elif number == 20:
        command = "echo go >go; while [ ! -e late ]; do :; done"
    with step(tool="Bash", episode="e1", command=command):
        subprocess.run(["sh", "-c", command], check=True)
"""


@pytest.mark.timeout(120)
def test_each_act_lands_on_the_step_that_began_it(rubicon: Rubicon) -> None:
    policy = rubicon.policy(f"files:\n  write: ['{rubicon.work}/ok/**', '{rubicon.work}/go']\n")
    (rubicon.work / "ok").mkdir()
    (rubicon.work / "agent.py").write_text(AGENT)
    os.mkfifo(rubicon.work / "go")
    python = (sys.executable, "-B", "agent.py", ROOT)
    done = rubicon.do("run", "--policy", policy, "--trace", rubicon.trace, "--", *python, timeout=100)
    assert done.returncode == 0, done.stderr
    listed = [json.loads(line) for line in rubicon.do("steps", rubicon.trace, "--json").stdout.splitlines()]
    violated = {account.get("step"): account["violations"] for account in listed if account["violations"]}
    assert violated == {"9": 1, "15": 1}
    assert [account.get("step") for account in listed] == [*map(str, range(1, 31)), None]
    assert [account["files"] for account in listed[:3]] == [[f"{rubicon.work}/ok/{n}"] for n in (1, 2, 3)]
    exported = rubicon.do("export", rubicon.trace, "--format", "steps").stdout.splitlines()
    labels = {step["step"]: step["label"] for step in map(json.loads, exported)}
    assert {step for step, label in labels.items() if label == "violated"} == {"9", "15"}
    assert "(step 15)" in done.stderr
