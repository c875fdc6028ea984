"""`rubicon targets`, and completion of what it lists."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from .conftest import Spawn
from .driver import MAIN, ROOT, Rubicon
from .runtimes import Docker


def test_what_can_be_attached_to(rubicon: Rubicon, docker: Docker, spawn: Spawn) -> None:
    """With what it is, how many processes, since when, and who watches it."""
    container = docker.run("web", "sh", "-c", "/bin/sleep 1000 & wait")
    docker.run("ended", "true")
    sandbox = spawn("unshare", "--net", "sleep", "1000")
    environment = docker.environment | rubicon.environment
    watching = rubicon.start("attach", "--no-tui", "docker:web", env=environment)
    watching.says("interrupt to stop")
    done = rubicon.do("targets", "--json", env=environment)
    assert done.returncode == 0
    found = {each["target"]: each for each in map(json.loads, done.stdout.splitlines())}
    web = found["docker:web"]
    assert (web["id"], web["image"], web["processes"]) == (container, "box:1", 2)
    assert len(web["since"]) == len("2026-01-01T00:00:00Z")
    assert len(web["sessions"]) == 1
    assert "docker:ended" not in found
    assert found[f"pid:{sandbox.pid}"]["kind"] == "pid"
    (line,) = [
        each for each in rubicon.do("targets", env=environment).stdout.splitlines() if "docker:web" in each
    ]
    assert line.split() == ["docker", "docker:web", "box:1", "2", web["since"], *web["sessions"]]


def complete(rubicon: Rubicon, environment: dict[str, str], line: str) -> list[str]:
    """What bash would offer at the end of a line."""
    program = rubicon.folder / "rubicon"
    program.write_text(f'#!/bin/sh\nexec {" ".join(map(str, MAIN))} "$@"\n')
    program.chmod(0o755)
    words = line.replace(":", " : ").split()
    if line.endswith(" "):
        words.append("")
    script = """
    source "$1"; shift; COMP_LINE=$1; shift; COMP_POINT=${#COMP_LINE}
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
    _rubicon; printf '%s\\n' "${COMPREPLY[@]}"
    """
    command = ["bash", "-c", script, "bash", ROOT / "scripts/rubicon.bash", line, program, *words[1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_completion(rubicon: Rubicon, docker: Docker) -> None:
    """bash takes the colon for the end of a word, so only what is behind it is completed."""
    environment = docker.environment | rubicon.environment
    docker.run("web", "sleep", "1000")
    docker.run("worker", "sleep", "1000")
    assert complete(rubicon, environment, "rubicon targ") == ["targets"]
    assert complete(rubicon, environment, "rubicon attach docker:wo") == ["worker"]
    assert sorted(complete(rubicon, environment, "rubicon attach docker:w")) == ["web", "worker"]
    assert complete(rubicon, environment, "rubicon attach --all") == ["--all-containers"]
    assert {"docker:web", "docker:worker"} <= set(complete(rubicon, environment, "rubicon attach "))


def test_no_runtime_is_no_error(rubicon: Rubicon) -> None:
    done = rubicon.do("targets", env=rubicon.environment | {"DOCKER_HOST": f"unix://{Path('/nowhere')}"})
    assert done.returncode == 0
    assert "docker (/nowhere): No such file or directory" in done.stderr
