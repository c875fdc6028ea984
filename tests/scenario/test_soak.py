"""Many containers that hardly live: no first program is missed, and nothing of them stays.

RUBICON_SOAK is how many; a thousand took 72 s on two idle cores.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from .attached import attach, end, programs
from .driver import Events, Rubicon, until
from .maps import entries
from .runtimes import PATH, make_image

STARTS = int(os.environ.get("RUBICON_SOAK", "211"))


def prepare(folder: Path) -> Path:
    """A bundle for runc that runs a program which ends at once."""
    make_image(folder)
    subprocess.run(["runc", "spec", "--bundle", folder], env={"PATH": PATH}, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["root"]["path"] = "image"
    config["process"] |= {"terminal": False, "args": ["/bin/true"]}
    config["process"]["rlimits"] = []
    (folder / "config.json").write_text(json.dumps(config))
    return folder / "config.json"


@pytest.mark.heavy
@pytest.mark.timeout(1800)
def test_containers_that_start_and_stop(rubicon: Rubicon, tmp_path: Path) -> None:
    config = prepare(tmp_path)
    place = f"/rubicon-test-{os.getpid()}"
    spec = json.loads(config.read_text())
    watching = attach(rubicon, {}, "--all-containers")
    open_files, threads = Path(f"/proc/{watching.pid}/fd"), Path(f"/proc/{watching.pid}/task")
    held = len(os.listdir(open_files)), len(os.listdir(threads))
    kept = entries(watching.pid)
    assert {"members", "scope_cgroups", "files", "flows"} <= kept.keys()
    try:
        for number in range(STARTS):
            container = f"{number + 0xC0FFEE:064x}"
            spec["linux"]["cgroupsPath"] = f"{place}/{container}"
            spec["process"]["args"] = ["/bin/true", str(number)]
            config.write_text(json.dumps(spec))
            command = ["runc", "--root", tmp_path / "runc", "run", "--bundle", tmp_path, container]
            done = subprocess.run(command, env={"PATH": PATH}, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
        until(lambda: len(os.listdir(open_files)) <= held[0], "descriptors to be closed")
        assert len(os.listdir(threads)) <= held[1]
        until(lambda: entries(watching.pid) == kept, "the maps of the probes to be as before")
    finally:
        for hierarchy in Path("/sys/fs/cgroup").glob(f"*{place}"):
            hierarchy.rmdir()
    ids = {f"{number + 0xC0FFEE:064x}" for number in range(STARTS)}
    events = Events(each for each in end(rubicon, watching) if each["container"]["id"] in ids)  # no others'
    assert programs(events) == [("/bin/true", str(number)) for number in range(STARTS)]
    assert {each["container"]["id"] for each in events} == ids
    summary = rubicon.export()[-1]
    assert summary["rubicon"]["summary"]["losses"] == {"critical": 0, "bulk": 0}
    ended = [each["process"]["pid"] for each in events.of("exit")]
    assert len(set(ended)) == len(ended) >= STARTS
