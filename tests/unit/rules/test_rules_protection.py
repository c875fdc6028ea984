"""What the rule that is always on takes for an attack, and what not: by made-up events."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from tests.records import boundary, named, opened
from tracer.context import Context
from tracer.errors import TraceError
from tracer.events import Event, Violation
from tracer.pipeline import protected
from tracer.records import Act, Kind, Target
from tracer.rules.premises import Premise, Premises

ENGINE: dict[str, Any] = {
    "pid": 7,
    "start_ns": 70_000_000,
    "bpf": {"maps": [5]},
    "trace": {"path": "/var/t.trace", "device": 1, "inode": 100},
    "control": "/var/t.trace.control",
    "folder": {"path": "/home/a/traces", "device": 1, "inode": 101},
    "keys": {"path": "/home/a/keys", "device": 1, "inode": 102},
    "proc": {"path": "/proc", "device": 9, "inode": 1},
    "rules": [{"path": "/work/policy.yaml", "device": 1, "inode": 103}],
}
PREMISES = Premises(ENGINE)


@pytest.mark.parametrize(
    ("path", "premise"),
    [
        ("/var/t.trace", Premise.TRACE),
        ("/var/./x/../t.trace", Premise.TRACE),
        ("/var/t.trace.control", Premise.TRACE),
        ("/home/a/traces", Premise.FOLDER),
        ("/home/a/traces/s.trace", Premise.FOLDER),
        ("/home/a/traces/s.trace.control", Premise.FOLDER),
        ("/home/a/traces/.index/0a.index", Premise.FOLDER),
        ("/home/a/traces/.index", Premise.FOLDER),
        ("/home/a/keys", Premise.KEYS),
        ("/home/a/keys/seal", Premise.KEYS),
        ("/home/a/keys2/seal", None),
        ("/proc/7/oom_score_adj", Premise.PROC),
        ("/proc/7/task/8/mem", Premise.PROC),
        ("/var/t.tracefile", None),
        ("/var/t.trace/x", None),
        ("/home/a/traces/notes", None),
        ("/home/a/traces/deep/s.trace", None),
        ("/home/a/traces2/s.trace", None),
        ("/work/policy.yaml", Premise.RULES),
        ("/work/./policy.yaml", Premise.RULES),
        ("/work/policy.yaml.new", None),
        ("/proc/77/mem", None),
        ("/proc/7", None),
        ("/work/t.trace", None),
        ("", None),
    ],
)
def test_names(path: str, premise: Premise | None) -> None:
    assert PREMISES.at(path) is premise


@pytest.mark.parametrize(
    ("path", "device", "inode", "premise"),
    [
        ("/anything", 1, 100, Premise.TRACE),  # a hard link, or a bind mount
        ("/anything", 2, 100, None),
        ("/var/t.trace", 2, 100, None),  # in a root of its own
        ("/var/t.trace", 1, 99, None),
        ("/home/a/traces/s.trace", 1, 102, Premise.FOLDER),
        ("/home/a/traces/s.trace", 2, 102, None),
        ("/proc/7/oom_score_adj", 10, 5, None),  # of another pid namespace
        ("/work/policy.yaml", 1, 999, Premise.RULES),  # in its place
        ("/work/policy.yaml", 2, 999, None),
    ],
)
def test_a_file_that_is_known(path: str, device: int, inode: int, premise: Premise | None) -> None:
    assert PREMISES.at(path, device, inode) is premise


def test_folders_above() -> None:
    above = {"/var", "/home", "/home/a"}
    assert {each for each in (*above, "/", "", "/home/a/traces", "/va") if PREMISES.is_above(each)} == above


def judged(record: Any, engine: object = ENGINE) -> tuple[Violation, ...]:
    session = {"boot_offset_ns": 0, "engine": engine}
    event: Event = Context(session).event(record)
    return protected(session, lambda _event: ())(event)


def test_a_sentence() -> None:
    (found,) = judged(named(Kind.RENAME, 3, "/", "work/x", "/", "var/t.trace", result=-errno.EACCES))
    assert found.summary.endswith(
        "tried to rename /work/x to /var/t.trace: this is aimed at what is recorded of it; "
        "it was refused with EACCES"
    )


def test_other_processes_and_other_maps_are_not_meant() -> None:
    def kill(pid: int, start_ns: int) -> Any:
        return boundary(Act.KILL, 3, 9, pid, target=Target(start_ns, pid, 3, b"x"))

    assert judged(kill(7, 70_000_001))
    assert not judged(kill(7, 90_000_000))
    assert not judged(kill(8, 70_000_000))
    assert judged(boundary(Act.BPF, 3, 14, 5))
    assert not judged(boundary(Act.BPF, 3, 14, 6))
    assert not judged(boundary(Act.BPF, 3, 13, 5))


def test_the_engine_may_write_its_own_trace() -> None:
    assert judged(opened(3, "/var/t.trace", inode=100, device=1))
    assert not judged(opened(7, "/var/t.trace", start_ns=70_000_000, inode=100, device=1))


def test_a_trace_without_an_engine_protects_nothing() -> None:
    assert not judged(opened(3, "/var/t.trace"), None)


@pytest.mark.parametrize("lacking", ["pid", "trace", "folder", "keys", "proc", "control", "bpf"])
def test_an_engine_that_cannot_be_read(lacking: str) -> None:
    with pytest.raises(TraceError):
        judged(opened(3, "/var/t.trace"), {name: ENGINE[name] for name in ENGINE if name != lacking})


def test_a_session_from_before_rules_were_named_is_read() -> None:
    old = {key: value for key, value in ENGINE.items() if key != "rules"}
    assert Premises(old).at("/work/policy.yaml") is None
