"""scripts/demo from end to end: what the agent does is seen, exactly that, and nothing stays behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "scripts/demo"
RUBICON = ROOT / "scripts/rubicon"

POLICY = {"process.exec": 3, "network.connect": 12, "files.write": 6}
DETECTIONS = {
    "Reverse SSH tunnel": 1,
    "Reverse SSH tunnel by a program with another name": 1,
    "Cryptocurrency miner": 1,
    "Connection to a port of mining pools": 1,
    "Startup file of a shell or of the system changed": 1,
    "SSH authorized keys changed": 1,
    "Shell with a network connection as its input": 1,
    "First contact with an address outside that no name led to": 9,
    "Program with the name of a daemon in the wrong place": 1,
}


@dataclass(frozen=True, slots=True)
class Played:
    done: subprocess.CompletedProcess[str]
    trace: Path
    alerts: list[dict[str, Any]]
    events: list[dict[str, Any]]
    summary: dict[str, Any]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    trace = tmp_path_factory.mktemp("demo") / "demo.trace"
    done = call(DEMO, "--no-tui", "--fast", "--trace", trace)
    exported = call(RUBICON, "export", trace, "--format", "jsonl")
    documents = [json.loads(line) for line in exported.stdout.splitlines()]
    kinds = {
        kind: [each for each in documents if each["event"]["kind"] == kind] for kind in ("alert", "event")
    }
    return Played(done, trace, kinds["alert"], kinds["event"], documents[-1]["rubicon"]["summary"])


def call(*argv: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )


def test_it_says_that_all_was_as_expected(played: Played) -> None:
    assert played.done.returncode == 0, played.done.stdout + played.done.stderr
    assert "38 violations:" in played.done.stdout
    assert f"The trace is {played.trace}." in played.done.stdout


def test_each_act_breaks_the_rules_it_must(played: Played) -> None:
    rules = [alert["rule"] for alert in played.alerts]
    assert Counter(rule["id"] for rule in rules if rule["id"] in POLICY) == POLICY
    assert Counter(rule["name"] for rule in rules if rule["id"] not in POLICY) == DETECTIONS


def test_nothing_was_lost_and_the_trace_is_intact(played: Played) -> None:
    assert played.summary["losses"] == {"critical": 0, "bulk": 0}
    assert played.summary["verdict"] == "violated"
    assert played.summary["violations"] == {
        "informational": 0,
        "low": 9,
        "medium": 2,
        "high": 26,
        "critical": 1,
    }
    assert call(RUBICON, "verify", played.trace).returncode == 0


def test_connections_with_their_results(played: Played) -> None:
    """Two tunnels, the mirror, seven probes of which four refused, the download, the pool, the shell."""
    found = Counter(
        (each["destination"]["ip"].rpartition(".")[0], each["event"]["outcome"])
        for each in played.events
        if each["event"]["action"] == "connect" and each["network"]["type"] == "ipv4"
    )
    assert found == {
        ("203.0.113", "success"): 5,
        ("198.51.100", "success"): 4,
        ("198.51.100", "failure"): 4,
    }


def test_every_violation_is_one_readable_line(played: Played) -> None:
    lines = [line for line in played.done.stderr.splitlines() if " not allowed: " in line]
    assert len(lines) == sum(POLICY.values())
    tunnel = "HIGH     Reverse SSH tunnel: ssh (pid "
    assert sum(line.startswith(f"rubicon: {tunnel}") for line in played.done.stderr.splitlines()) == 1


def test_a_missing_violation_is_named(tmp_path: Path) -> None:
    """Here because the policy allows one more program."""
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    for each in (ROOT / "scripts").glob("demo[-_]*.*"):
        shutil.copy(each, scripts)
    (scripts / "rubicon").symlink_to(RUBICON)
    policy = scripts / "demo-policy.yaml"
    policy.write_text(policy.read_text().replace("    - dash\n", "    - dash\n    - ssh\n"))
    python = ROOT / ".venv/bin/python"
    done = call(python, scripts / "demo_stage.py", "--no-tui", "--trace", tmp_path / "demo.trace")
    assert done.returncode == 1, done.stderr
    assert "NOT AS EXPECTED  Program not allowed: seen 2 times instead of 3\n" in done.stdout


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    trace = tmp_path / "demo.trace"
    demo = subprocess.Popen(
        [DEMO, "--no-tui", "--pace", "1", "--trace", trace],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert demo.stdout is not None
    for line in demo.stdout:
        if "reverse SSH tunnel" in line:
            break
    namespace = os.readlink(f"/proc/{demo.pid}/ns/net")
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert not inhabitants(namespace)
    assert not Path("/home/rome").exists()
    assert call(RUBICON, "verify", trace).returncode == 0


def test_a_kill_leaves_nothing_behind(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [DEMO, "--no-tui", "--trace", tmp_path / "demo.trace"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert demo.stdout is not None
    assert demo.stdout.readline().startswith("agent: ")
    namespace = os.readlink(f"/proc/{demo.pid}/ns/net")
    demo.kill()
    demo.communicate(timeout=30)
    deadline = time.monotonic() + 20
    while inhabitants(namespace) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not inhabitants(namespace)


def test_not_root() -> None:
    done = call("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", DEMO)
    assert (done.returncode, done.stdout) == (1, "")
    assert "needs root" in done.stderr or "set up for you" in done.stderr


def inhabitants(namespace: str) -> list[int]:
    """The processes in a network namespace."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                here = os.readlink(f"/proc/{entry}/ns/net")
            except OSError:
                continue
            if here == namespace:
                found.append(int(entry))
    return found
