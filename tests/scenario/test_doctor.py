"""`rubicon doctor` on the machine as it is, with privileges and without; and the same facts in a trace."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest

from tracer.trace import Reader

from .driver import MAIN, Rubicon

NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all")
EXAMINATION = {
    *("kernel", "loads", "problem", "loaders", "loader", "tier", "offsets"),
    *("hooks", "programs", "calls", "unseen", "refusals"),
    *("cgroups", "runtimes", "without_root"),
}


def as_nobody(rubicon: Rubicon, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*NOBODY, *MAIN, "doctor", *options]
    done = subprocess.run(
        command, cwd="/", env=rubicon.environment, capture_output=True, text=True, check=False
    )
    if "ermission denied" in done.stderr:
        pytest.skip("this machine keeps other users from the checkout")
    return done


def facts(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.stderr == ""
    found: dict[str, Any] = json.loads(done.stdout)
    assert found.keys() == EXAMINATION
    return found


def test_with_privileges(rubicon: Rubicon) -> None:
    done = rubicon.do("doctor", "--json")
    found = facts(done)
    assert (done.returncode, found["loads"], found["problem"], found["loader"]) == (0, True, "", "core")
    assert found["kernel"]["release"] == os.uname().release
    assert found["kernel"]["btf_bytes"] > 1_000_000
    assert {each["name"]: each["yes"] for each in found["loaders"]} == {"core": True, "bcc": True}
    hooks = {each["hook"]: each["yes"] for each in found["hooks"]}
    assert hooks["tp_btf/sys_enter"] is hooks["iter/task"] is True
    assert {each["name"] for each in found["programs"]} == {"fentry", "fexit", "fmod_ret", "lsm"}
    assert None not in {each["yes"] for each in found["programs"]}
    assert all(each["yes"] or each["why"] for each in found["programs"])


def test_as_nobody(rubicon: Rubicon) -> None:
    done = as_nobody(rubicon, "--json")
    found = facts(done)
    assert (done.returncode, found["loads"], found["kernel"]["capabilities"]) == (1, False, [])
    assert "CAP_BPF" in found["problem"]
    assert found["kernel"]["remedy"].startswith(("sudo", "su -c"))
    assert {each["yes"] for each in found["programs"]} == {None}
    assert "not looked at" in found["programs"][0]["why"]
    assert True in {each["yes"] for each in found["hooks"]}


def test_in_a_user_namespace(rubicon: Rubicon) -> None:
    """Where everybody is root, and may not load probes."""
    command = ["unshare", "--user", "--map-root-user", *MAIN, "doctor", "--json"]
    done = subprocess.run(
        command, cwd="/", env=rubicon.environment, capture_output=True, text=True, check=False
    )
    if done.stderr.startswith("unshare:"):
        pytest.skip("this machine makes no user namespaces")
    found = facts(done)
    assert (done.returncode, found["loads"], found["kernel"]["capabilities"]) == (1, False, [])
    assert "user namespace" in found["problem"]


def test_for_a_person(rubicon: Rubicon) -> None:
    for done in (rubicon.do("doctor"), as_nobody(rubicon)):
        assert max(map(len, done.stdout.splitlines())) <= 80
        assert "Hooks of the probes" in done.stdout
        assert done.stderr == ""


def test_the_same_facts_are_in_a_trace(rubicon: Rubicon) -> None:
    assert rubicon.run("true").returncode == 0
    found = facts(rubicon.do("doctor", "--json"))
    with Reader(rubicon.trace) as reader:
        capture = reader.session["capture"]
    assert capture == {**found["kernel"], "cgroups": found["cgroups"], "runtimes": found["runtimes"]}
