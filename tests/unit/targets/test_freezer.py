"""The cgroup of version 1 by which a process can be frozen; really frozen, where this machine has it."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tracer.actions.freeze import freeze_scope, thaw
from tracer.actions.kill import kill_scope
from tracer.actions.scope import Scope
from tracer.targets.cgroups import freezer_folder

FREEZER = Path("/sys/fs/cgroup/freezer")


@pytest.mark.skipif(not os.access(FREEZER, os.W_OK), reason="no freezer of cgroup v1 that may be written")
def test_a_cgroup_of_version_1() -> None:
    folder = FREEZER / f"rubicon-test-{os.getpid()}"
    folder.mkdir()
    process = subprocess.Popen(["sleep", "60"])
    try:
        assert freezer_folder(process.pid) is None
        (folder / "cgroup.procs").write_text(str(process.pid))
        assert freezer_folder(process.pid) == folder
        scope = Scope(lambda: [process.pid] if process.poll() is None else [], lambda: [folder])
        frozen = freeze_scope(scope, lambda _: None)
        assert (frozen.folders, frozen.tasks) == ((folder,), ())
        assert (folder / "freezer.state").read_text() == "FROZEN\n"
        thaw(frozen)
        assert (folder / "freezer.state").read_text() == "THAWED\n"
        frozen = freeze_scope(scope, lambda _: None)
        assert kill_scope(scope, lambda: thaw(frozen)) == (1, 0)
    finally:
        with suppress(OSError):
            (folder / "freezer.state").write_text("THAWED")
        process.kill()
        process.wait()
        folder.rmdir()


def test_a_process_that_is_gone() -> None:
    assert freezer_folder(0) is None
