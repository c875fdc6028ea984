"""What a person may ask of a live session, and what it answers; each is told in the trace."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.test_session_guard import FakeGuard, key
from tracer.capture.guard import GuardMode
from tracer.control import Peer, Reply
from tracer.errors import KernelError
from tracer.events import Response, Result, Taken
from tracer.rules import Given
from tracer.session.commands import Commands, PolicyFile
from tracer.session.enforce import Enforcer
from tracer.targets.processes import sees_all_pids

PEER = Peer(1, 0)
TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


class FakeScopes:
    def spared(self) -> set[int]:
        return {os.getpid()}


class Asked:
    """The commands of a session that watches `pids`, and what it told of them."""

    def __init__(self, folder: Path, *pids: int, guard: Any = None, policy: PolicyFile | None = None) -> None:
        self.told: list[Taken] = []
        self.records: list[Any] = []
        scopes: Any = FakeScopes()
        enforcer = Enforcer(
            scopes, folder / "kept", self.records.append, self.told.append, enforce=False, boot_offset_ns=0
        )
        self._table = Commands(enforcer, pids.__contains__, guard, None, policy).table()

    def do(self, command: str, **arguments: object) -> Reply:
        found = self._table[command]
        return found.do(found.arguments.model_validate(arguments), PEER)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "1000"]) as process:
        yield process
        process.kill()


def start_ns(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]) * TICK_NS


@pytest.mark.skipif(not sees_all_pids(), reason="pids here are not those of the kernel")
def test_one_process_is_killed_and_told(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    asked = Asked(tmp_path, sleeper.pid)
    reply = asked.do("kill_process", pid=sleeper.pid, start_ns=start_ns(sleeper.pid))
    assert reply.ok, reply.message
    assert sleeper.wait(10) == -9
    (taken,) = asked.told
    assert (taken.response, taken.result, taken.by) == (Response.KILL, Result.DONE, str(PEER))
    assert asked.records[0]["action"] == "kill"


@pytest.mark.skipif(not sees_all_pids(), reason="pids here are not those of the kernel")
def test_a_pid_that_is_anothers_by_now_is_left_alone(
    tmp_path: Path, sleeper: subprocess.Popen[bytes]
) -> None:
    asked = Asked(tmp_path, sleeper.pid)
    reply = asked.do("kill_process", pid=sleeper.pid, start_ns=start_ns(sleeper.pid) - 5_000_000_000)
    assert not reply.ok
    assert sleeper.poll() is None


def test_who_is_not_watched_is_left_alone(tmp_path: Path, sleeper: subprocess.Popen[bytes]) -> None:
    asked = Asked(tmp_path)
    assert "no process" in asked.do("kill_process", pid=sleeper.pid, start_ns=1).message
    assert sleeper.poll() is None
    assert not asked.told


def test_an_address_is_refused_and_all_else_passes(tmp_path: Path) -> None:
    guard = FakeGuard()
    asked = Asked(tmp_path, guard=guard)
    assert asked.do("deny", ip="192.0.2.7").ok
    assert guard.mode is GuardMode.DENY
    everywhere = bytes([8, 0, 0, 0, 4, *bytes(19)])
    assert int.from_bytes(guard.table[everywhere][:4], "little") == 0  # any port
    assert guard.table[key("192.0.2.7")][4:8] == bytes([1, 0, 0, 0])  # from 1 to 0: none
    assert asked.told[0].response is Response.DENY


def test_without_a_guard_nothing_is_refused(tmp_path: Path) -> None:
    reply = Asked(tmp_path).do("deny", ip="192.0.2.7")
    assert not reply.ok
    assert "--enforce" in reply.message
    failing = Asked(tmp_path, guard=FakeGuard(KernelError("no cgroups")))
    assert failing.do("deny", ip="192.0.2.7").message == "no cgroups"
    assert "no address" in failing.do("deny", ip="nowhere").message


def test_an_entry_is_shown_and_then_written(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text("process:\n  exec:\n    - git\n")
    asked = Asked(tmp_path, policy=PolicyFile(path, Given({}, {})))
    shown = asked.do("allow", place="process.exec", entry="make")
    assert "+    - make" in shown.data["diff"]
    assert path.read_text() == "process:\n  exec:\n    - git\n"
    assert not asked.told
    assert asked.do("allow", place="process.exec", entry="make", write=True).ok
    assert path.read_text() == "process:\n  exec:\n    - git\n    - make\n"
    assert "added make to process.exec" in asked.told[0].message


def test_what_is_wrong_with_an_entry_is_said(tmp_path: Path) -> None:
    assert "no policy file" in Asked(tmp_path).do("allow", place="process.exec", entry="x").message
    missing = PolicyFile(tmp_path / "missing.yaml", Given({}, {}))
    assert not Asked(tmp_path, policy=missing).do("allow", place="process.exec", entry="x").ok
