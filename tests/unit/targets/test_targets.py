"""From words to processes and cgroups; what /proc says of a process."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tracer.errors import TargetError
from tracer.targets import Target, cgroups, parse_target, processes

MOUNTS = [
    b"24 1 0:22 / /proc rw shared:1 - proc proc rw\n",
    b"30 24 0:26 / /sys/fs/cgroup/unified\\040v2 rw,nosuid shared:9 - cgroup2 cgroup2 rw\n",
    b"31 24 0:27 / /sys/fs/cgroup/cpu rw shared:10 - cgroup cgroup rw,cpu\n",
]
OF_A_PART = [b"30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n"]


def test_a_process_by_its_number() -> None:
    assert parse_target(f"pid:{os.getpid()}") == [Target(f"pid:{os.getpid()}", pid=os.getpid())]
    assert parse_target(f"pid:00{os.getpid()}")[0].pid == os.getpid()


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("pid:0", "there is no process 0"),
        ("pid:" + "9" * 5000, "there is no process"),
        ("pid:²", "is not a process"),
        ("pid:-1", "is not a process"),
        ("pid:", "is not a process"),
        ("42", "is not a target: give one as docker:NAME|ID, "),
        ("\x1b[2J:1", "\\\\x1b\\[2J:1 is not a target"),
        ("cgroup:/no\x1bsuch", "no\\\\x1bsuch"),
    ],
)
def test_words_that_name_nothing(word: str, words: str) -> None:
    with pytest.raises(TargetError, match=words) as caught:
        parse_target(word)
    assert str(caught.value).isprintable()


def test_the_mount_of_the_v2_hierarchy() -> None:
    assert cgroups.parse_mounts(MOUNTS) == (Path("/sys/fs/cgroup/unified v2"), "/")
    assert cgroups.parse_mounts(OF_A_PART) == (Path("/sys/fs/cgroup"), "/docker/abc")
    assert cgroups.parse_mounts(MOUNTS[:1]) == (None, "")


@pytest.mark.parametrize(
    ("cgroup", "root", "folder"),
    [
        ("/", "/", Path("/mnt")),
        ("/user/me", "/", Path("/mnt/user/me")),
        ("/docker/abc", "/docker/abc", Path("/mnt")),
        ("/docker/abc/leaf", "/docker/abc", Path("/mnt/leaf")),
        ("/docker/other", "/docker/abc", None),
        ("/../outside", "/", None),
    ],
)
def test_where_a_cgroup_is(cgroup: str, root: str, folder: Path | None) -> None:
    assert cgroups.folder_of(cgroup, Path("/mnt"), root) == folder


def test_abandoned_leaves_are_removed_with_what_was_made_in_them(tmp_path: Path) -> None:
    """Not those of engines that run, nor anybody else's."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    (tmp_path / f"rubicon-{ended.pid}-s1/inner/most").mkdir(parents=True)
    kept = [f"rubicon-{os.getpid()}-s2", "rubicon-x-y", "other"]
    for name in kept:
        (tmp_path / name).mkdir()
    cgroups._remove_abandoned(tmp_path)
    assert sorted(os.listdir(tmp_path)) == sorted(kept)


def test_what_proc_says_of_a_process() -> None:
    record = processes.describe(os.getpid(), 131_072)
    assert record is not None
    assert record["pid"] == os.getpid()
    assert record["parent_pid"] == os.getppid()
    assert record["executable"] == os.path.realpath("/proc/self/exe")
    assert record["working_directory"] == os.getcwd()
    assert (record["user_id"], record["group_id"]) == (os.getuid(), os.getgid())
    assert 0 < record["parent_start_ns"] <= record["start_ns"]
    command = Path("/proc/self/cmdline").read_bytes()
    assert record["args"] == [os.fsdecode(word) for word in command.split(b"\0")[:-1]]
    assert record["args_total"] == len(command)


def test_long_arguments_are_cut_and_their_length_told() -> None:
    record = processes.describe(os.getpid(), 5)
    assert record is not None
    assert sum(map(len, record["args"])) <= 5
    assert record["args_total"] > 5


def test_a_process_with_an_odd_name() -> None:
    """The second field of /proc/PID/stat may hold spaces, brackets and anything else."""
    rename = "import ctypes, sys; ctypes.CDLL(None).prctl(15, b'a) R 1 (b\\xff\\n')"
    program = f"{rename}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        ["/usr/bin/python3", "-I", "-S", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        record = processes.describe(process.pid, 100)
        assert record is not None
        assert (record["name"], record["parent_pid"]) == ("a) R 1 (b\udcff\n", os.getpid())
        process.communicate()
    assert processes.describe(process.pid, 100) is None


def test_lineage_up_to_the_first_process() -> None:
    pids = [record["pid"] for record in processes.lineage(os.getpid(), ())]
    assert pids[:2] == [os.getpid(), os.getppid()]
    assert pids[-1] == 1
    assert len(pids) == len(set(pids))
