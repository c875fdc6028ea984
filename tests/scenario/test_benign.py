"""The beginning of each part of an honest agent's day; `scripts/benign` is all of it. Nothing to be said."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts/benign_day.py"
SECONDS_MAX = 400  # on a machine that does much else; alone it takes a few


def test_all_of_the_day_is_distinct() -> None:
    commands = [
        command
        for file in SCRIPT.with_name("benign.d").glob("*.txt")
        for command in file.read_text().replace("\n\t", "\0").splitlines()
    ]
    assert len(set(commands)) == len(commands) >= 500


@pytest.mark.timeout(SECONDS_MAX + 30)
def test_a_sample(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    command = [sys.executable, "-B", "-E", "-s", SCRIPT, "--sample", "3", "--json", figures]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(figures.read_text())
    assert not {"medium", "high", "critical"} & set(result["violations"])
    assert result["commands"] >= 24
    assert result["events"] > 10 * result["commands"]
    assert [each["command"] for each in result["failed"]] == []
