"""What goes wrong, and what is said and left of it: the table in the design, row by row."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .driver import MAIN, PROGRAMS, ROOT, Document, Rubicon, Started, until

FLOOD = "n=0; while [ $n -lt 3000 ]; do echo >$n; n=$((n + 1)); done"


def summary_of(rubicon: Rubicon) -> Document:
    summary: Document = rubicon.export()[-1]["rubicon"]["summary"]
    return summary


def one_line(done: subprocess.CompletedProcess[str], status: int) -> str:
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (status, "", 1), done.stderr
    assert done.stderr.startswith("rubicon: ")
    return done.stderr


# ---- nothing can be started


@pytest.mark.parametrize(
    "without",
    [
        ["--bounding-set=-all", "--inh-caps=-all"],
        ["--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all"],
    ],
    ids=["root without capabilities", "nobody"],
)
def test_without_the_privilege(without: list[str], rubicon: Rubicon) -> None:
    command = ["setpriv", *without, *MAIN, "run", "--", "touch", "ran"]
    done = subprocess.run(
        command, cwd="/", env=rubicon.environment, capture_output=True, text=True, check=False
    )
    if "ermission denied" in done.stderr:
        pytest.skip("this machine keeps other users from the checkout")
    said = one_line(done, 1)
    assert "CAP_PERFMON and CAP_BPF missing" in said
    assert "sudo" in said
    assert not os.path.exists("/ran")


def test_without_type_information(rubicon: Rubicon) -> None:
    missing = {"RUBICON_KERNEL_BTF": "/nowhere/vmlinux"}
    done = rubicon.do("run", "--", "touch", "ran", env=rubicon.environment | missing)
    said = one_line(done, 1)
    assert "no kernel type information (BTF) at /nowhere/vmlinux" in said
    assert "CONFIG_DEBUG_INFO_BTF" in said
    assert not (rubicon.work / "ran").exists()
    assert not rubicon.traces.exists()


def test_every_mistake_in_every_file_at_once(rubicon: Rubicon) -> None:
    policy, rule = rubicon.folder / "policy.yaml", rubicon.folder / "rule.yml"
    policy.write_text("files:\n  write: [relative]\nnetwork:\n  connect: ['1.2.3.4/99']\nnonsense: 1\n")
    rule.write_text("title: x\nlogsource: {category: process_creation, product: linux}\n")
    done = rubicon.do("run", "--policy", policy, "--rules", rule, "--", "touch", "ran")
    assert (done.returncode, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    for place in (f"{policy}:2", f"{policy}:4", f"{policy}:5", str(rule)):
        assert any(line.startswith(f"rubicon: {place}") for line in lines), (place, lines)
    assert not (rubicon.work / "ran").exists()
    assert not rubicon.traces.exists()


def test_a_folder_for_traces_that_cannot_be_made(rubicon: Rubicon) -> None:
    (rubicon.folder / "file").touch()
    environment = rubicon.environment | {"RUBICON_TRACES": str(rubicon.folder / "file/below")}
    said = one_line(rubicon.do("run", "--", "touch", "ran", env=environment), 2)
    assert "cannot make the folder" in said
    assert not (rubicon.work / "ran").exists()


def test_json_lines_that_cannot_be_written(rubicon: Rubicon) -> None:
    said = one_line(rubicon.do("run", "--jsonl", "/nowhere/x", "--", "touch", "ran"), 1)
    assert "/nowhere/x" in said
    assert not (rubicon.work / "ran").exists()


# ---- the rings are full


def overflow(
    rubicon: Rubicon, *options: str | Path, program: str = FLOOD
) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-I",
        PROGRAMS / "tiny_rings.py",
        ROOT,
        "run",
        "--trace",
        rubicon.trace,
        *options,
    ]
    return subprocess.run(
        [*command, "--", "sh", "-c", program],
        cwd=rubicon.work,
        env=rubicon.environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_losses_are_counted_and_leave_the_verdict_open(rubicon: Rubicon) -> None:
    lines = rubicon.folder / "lines"
    done = overflow(rubicon, "--fail-on", "low", "--jsonl", lines)
    assert done.returncode == 4
    summary = summary_of(rubicon)
    assert summary["losses"]["bulk"] > 0
    assert summary["verdict"] == "incomplete"
    assert json.loads(lines.read_text())["rubicon"]["summary"] == summary
    lost = sum(summary["losses"].values())
    assert f"0 violations, {lost:,} lost" in done.stderr
    assert rubicon.verify() == (0, "intact")
    seen = summary["actions"]["file_write"] + summary["actions"]["file_close"]
    assert seen + summary["losses"]["bulk"] == 2 * 3000


def test_a_violation_is_one_whatever_was_lost(rubicon: Rubicon) -> None:
    policy = rubicon.policy("files:\n  write: [/nowhere/**]\n")
    done = overflow(rubicon, "--fail-on", "low", "--policy", policy)
    assert done.returncode == 3
    assert summary_of(rubicon)["verdict"] == "violated"
    assert summary_of(rubicon)["losses"]["bulk"] > 0


def test_without_fail_on_the_status_is_the_commands(rubicon: Rubicon) -> None:
    assert overflow(rubicon, program=f"{FLOOD}; exit 7").returncode == 7


# ---- the disk is full

ON_A_SMALL_DISK = """
mkdir disk && mount -t tmpfs -o size=512k tmpfs disk && head -c 503808 /dev/zero >disk/filler || exit 77
"$@"
status=$?
cp disk/the.trace "$TRACE"
exit $status
"""
PROMPT = "the disk is full: capture goes on in memory"
# 600 names that do not compress: too much for what the first records leave of 20 KiB, not for the whole disk.
WRITES = "for name in $(head -c 14400 /dev/urandom | od -An -v -tx1 -w24 | tr -d ' '); do echo >$name; done"


def start_on_a_small_disk(rubicon: Rubicon, program: str) -> Started:
    """In a mount namespace of its own; the trace is copied out at the end."""
    command = ["unshare", "--mount", "sh", "-c", ON_A_SMALL_DISK, "sh", *MAIN]
    options = ["run", "--trace", "disk/the.trace", "--fail-on", "low"]
    started = Started(
        [*command, *options, "--", "sh", "-c", program],
        rubicon.folder,
        "small",
        cwd=rubicon.work,
        env=rubicon.environment | {"TRACE": str(rubicon.trace)},
    )
    rubicon.started.append(started)
    return started


def skip_without_namespace(started: Started, status: int) -> None:
    if status in {1, 77} and "rubicon" not in started.err:
        pytest.skip("this machine refuses a mount namespace")


def test_a_full_disk_that_gets_room_again(rubicon: Rubicon) -> None:
    os.mkfifo(rubicon.work / "gate")
    started = start_on_a_small_disk(rubicon, f"{WRITES}; read line <gate; rm disk/filler; echo >last")
    until(lambda: PROMPT in started.err or started.process.poll() is not None, "the disk to be full")
    if started.process.poll() is not None:
        skip_without_namespace(started, started.process.returncode)
    (rubicon.work / "gate").write_text("go\n")
    assert started.end() == 0, started.err
    assert "the disk has room again: the trace is whole" in started.err
    assert rubicon.verify() == (0, "intact")
    events = rubicon.events()
    assert events.actions["file_write"] == 601
    assert events.of("file_write").paths[-1] == f"{rubicon.work}/last"


def test_a_disk_that_stays_full(rubicon: Rubicon) -> None:
    started = start_on_a_small_disk(rubicon, WRITES)
    status = started.end()
    skip_without_namespace(started, status)
    assert PROMPT in started.err
    assert "the trace is not complete" in started.err
    assert status == 4
    assert rubicon.verify() == (2, "cut")
    done = rubicon.do("export", rubicon.trace, "--format", "jsonl")
    assert done.returncode == 0
    assert "no end record" in done.stderr
    assert summary_of(rubicon)["verdict"] == "incomplete"


# ---- the engine is killed

# include/uapi/linux/bpf.h: enum bpf_cmd, and the number of the system call
BPF_PROG_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID = 13, 30
SYS_BPF = {"x86_64": 321, "aarch64": 280}


def bpf_ids(pid: int) -> set[tuple[int, int]]:
    """The programs and links that a process holds, each as the command that opens it and its id."""
    found = set()
    for descriptor in os.listdir(f"/proc/{pid}/fdinfo"):
        try:
            lines = Path(f"/proc/{pid}/fdinfo/{descriptor}").read_text().splitlines()
        except FileNotFoundError:
            continue
        facts = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        if "link_id" in facts:
            found.add((BPF_LINK_GET_FD_BY_ID, int(facts["link_id"])))
        elif "prog_id" in facts:
            found.add((BPF_PROG_GET_FD_BY_ID, int(facts["prog_id"])))
    return found


def is_loaded(command: int, number: int) -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    attributes = ctypes.create_string_buffer(number.to_bytes(4, "little"), 128)
    descriptor = library.syscall(SYS_BPF[platform.machine()], command, attributes, 128)
    if descriptor < 0:
        assert ctypes.get_errno() == errno.ENOENT
        return False
    os.close(descriptor)
    return True


def test_a_killed_engine(rubicon: Rubicon) -> None:
    os.mkfifo(rubicon.work / "gate")
    program = "echo >before; read line <gate; echo >after; mv after done"
    started = rubicon.start("run", "--trace", rubicon.trace, "--", "sh", "-c", program)
    until(lambda: f"{rubicon.work}/before" in seen_paths(rubicon), "the first file in the trace")
    held = bpf_ids(started.pid)
    assert {command for command, _id in held} == {BPF_PROG_GET_FD_BY_ID, BPF_LINK_GET_FD_BY_ID}
    assert all(is_loaded(*each) for each in held)
    leaves = own_leaves(started.pid)

    rubicon.adopt(started)
    started.process.kill()
    started.process.wait()
    until(lambda: not any(is_loaded(*each) for each in held), "the probes to be gone")
    assert rubicon.verify() == (2, "cut")
    assert f"{rubicon.work}/before" in seen_paths(rubicon)
    summary = summary_of(rubicon)
    assert summary["verdict"] == "incomplete"
    assert "no end record" in summary["damage"]

    assert not (rubicon.work / "done").exists()
    (rubicon.work / "gate").write_text("go\n")
    until((rubicon.work / "done").exists, "the command to go on")
    until(lambda: all(not (leaf / "cgroup.procs").read_text() for leaf in leaves), "the command to end")
    assert rubicon.do("run", "--", "true").returncode == 0
    assert not any(leaf.exists() for leaf in leaves)
    assert f"{rubicon.work}/done" not in seen_paths(rubicon)


def seen_paths(rubicon: Rubicon) -> list[str]:
    if not rubicon.trace.exists():
        return []
    done = rubicon.do("export", rubicon.trace, "--format", "jsonl")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    return [each["file"]["path"] for each in documents if "file" in each]


def own_leaves(pid: int) -> list[Path]:
    """The cgroups an engine made; none where it can make none."""
    from tracer.targets.cgroups import mount_point

    root = mount_point()
    return list(root.rglob(f"rubicon-{pid}-*")) if root else []


def test_killed_before_the_command_was_let_go(rubicon: Rubicon) -> None:
    """The child that waits to become the command ends, too, and the command never ran."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1]); from tracer.targets.command import Command\n"
        "child = Command(['touch', 'ran'], os.environ); print(child.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, ROOT],
        cwd=rubicon.work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == -9
    until(lambda: not os.path.exists(f"/proc/{int(done.stdout)}"), "the child to end")
    assert not (rubicon.work / "ran").exists()


def test_nothing_is_left_behind(rubicon: Rubicon) -> None:
    """No cgroup, no probes."""
    started = rubicon.start("run", "--trace", rubicon.trace, "--", "sh", "-c", "echo go; read line", stdin=-1)
    until(lambda: started.out, "the command")
    held, leaves = bpf_ids(started.pid), own_leaves(started.pid)
    assert started.process.stdin
    started.process.stdin.close()
    assert started.end() == 1
    until(lambda: not any(is_loaded(*each) for each in held), "the probes to be gone")
    assert not any(leaf.exists() for leaf in leaves)


@pytest.fixture(autouse=True)
def known_machine() -> Any:
    if platform.machine() not in SYS_BPF:
        pytest.skip("this machine's number of the bpf system call is not known here")
