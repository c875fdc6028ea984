"""`attach` with the capabilities that scripts/deploy gives it, and no others."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from .conftest import Spawn
from .driver import MAIN, PYTHON, ROOT, Rubicon, Started, until


def given() -> list[str]:
    unit = (ROOT / "scripts/deploy/rubicon@.service").read_text()
    found = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.MULTILINE)
    assert found
    return [each.removeprefix("CAP_").lower() for each in found[1].split()]


def test_attach_with_the_rights_of_the_unit(spawn: Spawn, rubicon: Rubicon) -> None:
    target = spawn("sh", stdin=subprocess.PIPE, cwd=rubicon.work)
    bounds = ",".join(["-all", *(f"+{each}" for each in given())])
    command = [*MAIN, "attach", "--no-tui", f"pid:{target.pid}", "--trace", rubicon.trace]
    started = Started(
        ["setpriv", "--no-new-privs", f"--bounding-set={bounds}", "--inh-caps=-all", *command],
        rubicon.folder,
        "attach",
        cwd=rubicon.work,
        env=rubicon.environment,
    )
    rubicon.started.append(started)
    started.says("watching pid:")
    assert target.stdin
    target.stdin.write(f"{PYTHON} -I -c 'import os; os.kill({started.pid}, 10)'\n".encode())
    target.stdin.close()
    assert started.end() == 0, started.err
    assert "Attack on Rubicon: its process" in started.err
    assert " 0 lost; trace" in started.err
    until(Path(rubicon.trace).exists, "the trace")
