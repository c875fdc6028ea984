"""scripts/bench runs, and measures what it says: the figures themselves are for a quiet machine."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

BENCH = Path(__file__).parents[2] / "scripts/bench"


def test_one_workload(tmp_path: Path) -> None:
    figures = tmp_path / "figures.json"
    done = subprocess.run(
        [BENCH, "--quick", "--rounds", "1", "--only", "connect", "--json", figures],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == 0, done.stderr
    assert "| connect | " in done.stdout
    assert done.stderr.splitlines() == ["round 1 of 1: connect"]
    (row,) = json.loads(figures.read_text())["rows"].values()
    assert row["recorded"][0]["events"] == 5 * (500 * 4 + 2) + 3, (
        "each connect is accepted and both are closed"
    )
    assert row["recorded"][0]["lost"] == 0
    for way in (row["bare"], row["watched"], row["peers"]["strace"]):
        (run,) = way
        assert 0 < run["elapsed_ns"] < 50e9
        assert run["cpu_seconds"] > 0
