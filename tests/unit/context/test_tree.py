"""Which program a record belongs to, and where a process came from, whatever the order things arrive in."""

from __future__ import annotations

from typing import Any

import pytest

from tests.records import BOOT_NS, SECOND_NS, execve, fork, leave, opened, snapshot
from tracer.context import tree as tree_module
from tracer.context.images import Images
from tracer.context.scopes import Scopes
from tracer.context.tree import (
    EXITED_KEPT,
    IMAGES_KEPT,
    LINEAGE_MAX,
    LINEAGE_NEWEST_KEPT,
    LINEAGE_OLDEST_KEPT,
    OUTSIDE_KEPT,
    ProcessTree,
)
from tracer.errors import TraceError
from tracer.events import EARLIER_KEPT, NO_ID, Process


@pytest.fixture
def tree() -> ProcessTree:
    return ProcessTree(Images(BOOT_NS, Scopes()))


def pids(process: Process) -> list[int]:
    return [each.pid for each in process.lineage()]


def at(tree: ProcessTree, pid: int, time_ns: int, start_ns: int | None = None) -> Process:
    return tree.at(opened(pid, "/x", time_ns, start_ns=start_ns))


def announce(tree: ProcessTree, pid: int, parent: int, executable: str, /, **changes: Any) -> None:
    tree.learn(
        {
            "type": "process",
            "pid": pid,
            "start_ns": pid * SECOND_NS,
            "parent_pid": parent,
            "parent_start_ns": parent * SECOND_NS,
            "executable": executable,
            "args": [executable, "-x"],
            "working_directory": "/",
            "name": executable[-15:],
            "user_id": 0,
            "group_id": 0,
            "effective_user_id": 0,
        }
        | changes
    )


def test_child_runs_the_parents_program_until_it_executes_another(tree: ProcessTree) -> None:
    shell = tree.exec(execve(100, "/bin/sh", 10, "sh", "-c", "x"))
    child = tree.fork(fork(101, 100, 20))
    assert (child.executable, child.args, child.name) == ("/bin/sh", ("sh", "-c", "x"), "sh")
    assert (child.working_directory, child.user_id, child.cgroup_id) == ("/work", 1000, 77)
    assert (child.pid, child.namespace_pid, child.parent) == (101, 11, shell)
    assert child.start_time_ns == BOOT_NS + 101 * SECOND_NS
    program = tree.exec(execve(101, "/bin/ls", 30))
    assert (program.executable, program.entity_id, program.parent) == ("/bin/ls", child.entity_id, shell)
    assert program.entity_id != shell.entity_id


def test_programs_that_ran_before(tree: ProcessTree) -> None:
    """Of the process itself and of those it comes from, each once; a program of before the watch is none."""
    announce(tree, 99, 1, "/bin/login")
    assert tree.exec(execve(100, "/bin/sh", 10, parent_pid=99)).earlier == ()
    child = tree.fork(fork(101, 100, 20))
    assert child.earlier == ()
    assert tree.exec(execve(101, "/bin/bwrap", 30)).earlier == ("/bin/sh",)
    assert tree.exec(execve(101, "/bin/agent", 40)).earlier == ("/bin/sh", "/bin/bwrap")
    tree.fork(fork(102, 101, 50))
    again = tree.exec(execve(102, "/bin/bwrap", 60))
    assert again.earlier == ("/bin/sh", "/bin/bwrap", "/bin/agent")
    assert tree.exec(execve(102, "/bin/sh", 70)).earlier is again.earlier
    assert tree.exec(execve(101, "/bin/late", 35)).earlier == ("/bin/sh", "/bin/bwrap")  # it came afterwards


def test_programs_that_ran_before_are_bounded(tree: ProcessTree) -> None:
    for number in range(2 * EARLIER_KEPT):
        process = tree.exec(execve(100, f"/bin/{number}", number))
    assert len(process.earlier) == EARLIER_KEPT


def test_vfork_leaves_the_parent_as_it_was(tree: ProcessTree) -> None:
    tree.exec(execve(100, "/bin/make", 10))
    tree.fork(fork(101, 100, 20))
    tree.exec(execve(101, "/bin/cc", 21))
    assert at(tree, 100, 22).executable == "/bin/make"
    assert at(tree, 101, 22).executable == "/bin/cc"


def test_late_records_belong_to_the_program_of_their_time(tree: ProcessTree) -> None:
    tree.exec(execve(100, "/bin/sh", 10))
    tree.fork(fork(101, 100, 20))
    tree.exec(execve(101, "/bin/a", 30))
    tree.exec(execve(101, "/bin/b", 40))
    tree.exit(leave(101, 50))
    found = [at(tree, 101, time_ns).executable for time_ns in (5, 20, 29, 30, 39, 40, 49, 50, 60)]
    assert found == ["/bin/sh"] * 3 + ["/bin/a"] * 2 + ["/bin/b"] * 4


def test_execs_that_arrive_the_wrong_way_round(tree: ProcessTree) -> None:
    for path, time_ns in (("/bin/c", 30), ("/bin/a", 10), ("/bin/b", 20)):
        tree.exec(execve(100, path, time_ns))
    assert [at(tree, 100, time_ns).executable for time_ns in (10, 20, 30)] == ["/bin/a", "/bin/b", "/bin/c"]


def test_same_pid_another_start_is_another_process(tree: ProcessTree) -> None:
    tree.exec(execve(100, "/bin/old", 10, start_ns=SECOND_NS))
    tree.exec(execve(100, "/bin/new", 20, start_ns=2 * SECOND_NS))
    old, new = at(tree, 100, 30, SECOND_NS), at(tree, 100, 30, 2 * SECOND_NS)
    assert (old.executable, new.executable) == ("/bin/old", "/bin/new")
    assert old.entity_id != new.entity_id


def test_parent_is_who_forked_even_when_it_has_ended(tree: ProcessTree) -> None:
    tree.exec(execve(100, "/bin/agent", 10))
    tree.fork(fork(101, 100, 20))
    tree.fork(fork(102, 101, 30))
    tree.exit(leave(101, 40))
    daemon = tree.exec(execve(102, "/bin/daemon", 50, parent_pid=1, parent_start_ns=5))
    assert pids(daemon) == [102, 101, 100, 1]


def test_parent_is_the_program_that_forked_not_the_one_it_became(tree: ProcessTree) -> None:
    tree.exec(execve(100, "/bin/sh", 10))
    tree.exec(execve(100, "/bin/sleep", 30))
    child = tree.fork(fork(101, 100, 20))
    assert child.executable == "/bin/sh"


def test_thread_that_executes_keeps_the_process(tree: ProcessTree) -> None:
    before = tree.exec(execve(100, "/bin/a", 10))
    after = tree.exec(execve(100, "/bin/b", 20, old_tid=107))
    assert after.entity_id == before.entity_id


def test_process_never_heard_of(tree: ProcessTree) -> None:
    process = at(tree, 500, 10)
    assert (process.pid, process.executable, process.args, process.parent) == (500, "", (), None)
    assert process.user_id == NO_ID
    assert at(tree, 500, 20) is process
    assert tree.exit(leave(500, 30)) is process
    assert at(tree, 500, 40) is process


def test_ancestors_come_from_context_records(tree: ProcessTree) -> None:
    announce(tree, 1, 0, "/sbin/init")
    announce(tree, 50, 1, "/usr/sbin/sshd")
    process = tree.exec(execve(100, "/bin/sh", 10, parent_pid=50, parent_start_ns=50 * SECOND_NS + 123))
    assert [each.executable for each in process.lineage()] == ["/bin/sh", "/usr/sbin/sshd", "/sbin/init"]
    parent = process.parent
    assert parent is not None
    assert (parent.args, parent.user_id, parent.start_ns) == (
        ("/usr/sbin/sshd", "-x"), 0, 50 * SECOND_NS + 123,
    )  # fmt: skip
    assert parent.entity_id == f"32-{50 * 100:x}"  # the same from /proc's hundredths of a second


def test_parent_of_which_only_the_number_is_known(tree: ProcessTree) -> None:
    process = tree.exec(execve(100, "/bin/sh", 10, parent_pid=50))
    assert pids(process) == [100, 50]
    orphan = tree.exec(execve(101, "/bin/sh", 10, parent_pid=0))
    assert orphan.parent is None


def test_forged_ring_of_parents_ends(tree: ProcessTree) -> None:
    announce(tree, 1, 2, "/a")
    announce(tree, 2, 1, "/b")
    process = tree.exec(execve(100, "/bin/sh", 10))
    assert len(pids(process)) <= LINEAGE_NEWEST_KEPT + 2
    for record in (fork(8, 9, 1), fork(9, 8, 1), fork(8, 8, 2)):
        tree.fork(record)
    assert at(tree, 8, 5).pid == 8


def test_snapshot_takes_its_arguments_from_the_context_record(tree: ProcessTree) -> None:
    announce(tree, 100, 1, "/bin/sh", start_ns=100 * SECOND_NS)
    process = tree.snapshot(snapshot(100, "/bin/sh", 10, start_ns=100 * SECOND_NS + 999))
    assert (process.args, process.cgroup_id, process.user_id) == (("/bin/sh", "-x"), 77, 1000)
    assert at(tree, 100, 5, 100 * SECOND_NS + 999) is process


def test_snapshot_of_a_program_that_proc_did_not_see_has_no_arguments(tree: ProcessTree) -> None:
    announce(tree, 100, 1, "/bin/later")
    assert tree.snapshot(snapshot(100, "/bin/sh", 10)).args == ()


def test_snapshot_after_an_exec_keeps_its_arguments(tree: ProcessTree) -> None:
    tree.exec(execve(100, "/bin/sh", 10, "sh", "-c", "x"))
    assert tree.snapshot(snapshot(100, "/bin/sh", 20)).args == ("sh", "-c", "x")


def test_snapshot_of_another_program_than_the_last_exec(tree: ProcessTree) -> None:
    tree.exec(execve(100, "/bin/sh", 10))
    tree.snapshot(snapshot(100, "/bin/unseen", 20))
    assert [at(tree, 100, time_ns).executable for time_ns in (15, 25)] == ["/bin/sh", "/bin/unseen"]


def test_child_forked_before_its_parents_snapshot_learns_what_it_is(tree: ProcessTree) -> None:
    assert tree.fork(fork(101, 100, 10)).executable == ""
    tree.snapshot(snapshot(100, "/bin/agent", 20))
    child = at(tree, 101, 30)
    assert (child.executable, pids(child)) == ("/bin/agent", [101, 100, 1])
    assert at(tree, 101, 30) is child


def test_unknown_process_announced_later(tree: ProcessTree) -> None:
    assert at(tree, 100, 10).executable == ""
    announce(tree, 100, 1, "/bin/agent")
    assert at(tree, 100, 20).executable == "/bin/agent"


def test_lineage_of_a_chain_of_forks_is_bounded_and_keeps_both_ends(tree: ProcessTree) -> None:
    tree.exec(execve(100, "/bin/agent", 1))
    last = 100
    for pid in range(101, 3000):
        child = tree.fork(fork(pid, last, pid))
        assert len(pids(child)) <= LINEAGE_MAX + 2
        tree.exit(leave(last, pid + 1))
        last = pid
    lineage = pids(at(tree, last, 5000))
    assert lineage[-LINEAGE_OLDEST_KEPT:] == [*range(114, 99, -1), 1]
    assert lineage[:LINEAGE_NEWEST_KEPT] == list(range(last, last - LINEAGE_NEWEST_KEPT, -1))


def test_children_of_one_deep_process_share_its_lineage(tree: ProcessTree) -> None:
    tree.exec(execve(100, "/bin/agent", 1))
    for pid in range(101, 101 + LINEAGE_MAX):
        tree.fork(fork(pid, pid - 1, pid))
    deep = 100 + LINEAGE_MAX
    parents = {id(tree.fork(fork(pid, deep, pid)).parent) for pid in range(1000, 1010)}
    assert len(parents) == 1


def test_ended_processes_are_forgotten_after_a_while(tree: ProcessTree) -> None:
    tree.exec(execve(1, "/bin/agent", 1, parent_pid=0))
    for pid in range(2, 3 * EXITED_KEPT):
        tree.fork(fork(pid, 1, pid))
        tree.exit(leave(pid, pid))
        assert len(tree._live) == 1
    assert len(tree) <= 2 * EXITED_KEPT + 1
    newest = 3 * EXITED_KEPT - 1
    assert all(at(tree, pid, pid + 1).executable for pid in range(newest - EXITED_KEPT + 1, newest + 1))


def test_long_arguments_make_ended_processes_be_forgotten_sooner(tree: ProcessTree) -> None:
    for pid in range(2, 600):
        tree.exec(execve(pid, "/bin/xargs", pid, "x" * 131_072))
        tree.exit(leave(pid, pid))
    assert len(tree._exited) <= 2 * (EXITED_KEPT // 129 + 1)


def test_arguments_inherited_by_many_children_weigh_nothing(tree: ProcessTree) -> None:
    tree.exec(execve(1, "/bin/agent", 1, "x" * 131_072))
    for pid in range(2, 600):
        tree.fork(fork(pid, 1, pid))
        tree.exec(execve(pid, "/bin/ls", pid))
        tree.exit(leave(pid, pid))
    assert len(tree._exited) == 598


def test_processes_whose_exit_was_lost_are_bounded(
    tree: ProcessTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tree_module, "LIVE_KEPT", 1000)
    tree.exec(execve(1, "/bin/agent", 1, parent_pid=0))
    for pid in range(2, 40_000):
        tree.fork(fork(pid, 1, pid))
    assert len(tree._live) <= 1000
    assert len(tree) <= 1000 + 2 * EXITED_KEPT
    assert at(tree, 1, 50_000).executable == "/bin/agent"  # in use, so not forgotten


def test_unknown_and_announced_processes_are_bounded(tree: ProcessTree) -> None:
    for pid in range(1, 3 * OUTSIDE_KEPT):
        announce(tree, pid, 0, "/bin/x")
        tree.exec(execve(1_000_000, "/bin/y", pid, start_ns=pid, parent_pid=pid, parent_start_ns=pid))
        tree.exit(leave(1_000_000, pid, start_ns=pid))
    assert len(tree._announced) <= 2 * OUTSIDE_KEPT
    assert len(tree._outside) <= 2 * OUTSIDE_KEPT


def test_programs_of_one_process_are_bounded(tree: ProcessTree) -> None:
    for number in range(1000):
        tree.exec(execve(100, f"/bin/{number}", number))
    assert at(tree, 100, 1000 - IMAGES_KEPT).executable == f"/bin/{1000 - IMAGES_KEPT}"
    assert at(tree, 100, 3).executable == f"/bin/{999 - IMAGES_KEPT}"  # the oldest that is still known


@pytest.mark.parametrize(
    "changes",
    [{"pid": None}, {"pid": -1}, {"pid": True}, {"start_ns": 1 << 64}, {"args": "x"}, {"args": [1]},
     {"name": "\ud800"}, {"user_id": "root"}, {"executable": None}],
)  # fmt: skip
def test_damaged_context_record(tree: ProcessTree, changes: dict[str, Any]) -> None:
    with pytest.raises(TraceError):
        announce(tree, 100, 1, "/bin/sh", **changes)
