"""`attach` with the capabilities that scripts/deploy gives it, and no others."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from . import boxes
from .attached import end
from .boxes import Box
from .conftest import Spawn
from .driver import MAIN, PYTHON, ROOT, Rubicon, Started, until


def given() -> list[str]:
    unit = (ROOT / "scripts/deploy/rubicon@.service").read_text()
    found = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    assert found
    return [each.removeprefix("CAP_").lower() for each in found[1].split()]


def attach(rubicon: Rubicon, word: str, environment: Mapping[str, str] | None = None) -> Started:
    bounds = ",".join(["-all", *(f"+{each}" for each in given())])
    command = [*MAIN, "attach", "--no-tui", word, "--trace", rubicon.trace]
    started = Started(
        ["setpriv", "--no-new-privs", f"--bounding-set={bounds}", "--inh-caps=-all", *command],
        rubicon.folder,
        "attach",
        cwd=rubicon.work,
        env={**(environment or {}), **rubicon.environment},
    )
    rubicon.started.append(started)
    started.says(f"watching {word}")
    return started


def test_with_the_rights_of_the_unit(spawn: Spawn, rubicon: Rubicon) -> None:
    target = spawn("sh", stdin=subprocess.PIPE, cwd=rubicon.work)
    started = attach(rubicon, f"pid:{target.pid}")
    assert target.stdin
    target.stdin.write(f"{PYTHON} -I -c 'import os; os.kill({started.pid}, 10)'\n".encode())
    target.stdin.close()
    assert started.end() == 0, started.err
    assert "Attack on Rubicon: its process" in started.err
    assert " 0 lost; trace" in started.err
    until(Path(rubicon.trace).exists, "the trace")


@pytest.fixture(params=boxes.CONTAINERS)
def box(request: pytest.FixtureRequest) -> Box:
    made = boxes.make(request.param, request)
    made.start()
    return made


def test_with_a_container_of_each_runtime(rubicon: Rubicon, box: Box) -> None:
    """Its names, its users and what is started in it."""
    watching = attach(rubicon, box.word, box.environment)
    box.do("echo x >/tmp/x")  # also where it is there already
    (written,) = (
        each for each in end(rubicon, watching).of("file_write") if each["file"]["path"] == "/tmp/x"
    )
    assert {name: written["container"][name] for name in box.container} == box.container
    assert written["user"]["name"] == "root"
