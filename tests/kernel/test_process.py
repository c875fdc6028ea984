"""process.bpf.c: fork, exec and exit, whatever the route."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest

from tests.kernel.conftest import Cgroup, Triggers
from tests.kernel.watching import PYTHON, Watch, flags, python, where
from tracer.records import ExitRecord, FileId, Flag, Kind

# ---- fork and exec


@pytest.mark.short
@pytest.mark.route("process: fork, vfork, clone3, posix_spawn", Kind.FORK, Kind.EXEC, Kind.EXIT)
@pytest.mark.parametrize("way", ["fork", "vfork", "posix_spawn", "clone3"])
def test_each_child_once(watch: Watch, triggers: Triggers, here: Path, way: str) -> None:
    leaf = triggers("leaf")
    run = watch.trigger("spawn", way, "23", leaf, cwd=here)
    assert run.status == 0
    children = [each.pid for each in run.forks]
    assert len(set(children)) == 23
    assert {(each.parent_pid, each.result) for each in run.forks} == {(run.pid, 0)}
    assert [each.pid for each in run.execs] == children
    assert [each.args for each in run.execs] == [("leaf", str(i)) for i in range(23)]
    assert {(each.path, each.name, each.cwd) for each in run.execs} == {(str(leaf), str(leaf), str(here))}
    assert {each.parent_pid for each in run.execs} == {run.pid}
    assert [(each.pid, each.status) for each in run.exits] == [
        *((pid, i << 8) for i, pid in enumerate(children)),
        (run.pid, 0),
    ]
    assert len(run.records) == 1 + 3 * 23 + 1


def test_what_the_environment_says_of_the_step(watch: Watch) -> None:
    """The first of each name, whole, wherever it lies; no part of a long one, and none that looks alike."""
    run = watch.python("""
parent = "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
for env in (
    ["A=" + "x" * 100_000, "RUBICON_STEP=7", "RUBICON_STEP=8", parent],
    ["XRUBICON_STEP=7", "RUBICON_STEPS=/s", "RUBICON_STEP_=7", "TRACEPARENTS=x", "A=RUBICON_STEP=7"],
    [parent, *(f"A{n}=" for n in range(900)), "RUBICON_STEP=" + "y" * 400],
    ["A=" + "z" * 318, "RUBICON_STEP=after a whole piece"],
    [],
):
    if os.fork() == 0:
        arguments = (ctypes.c_char_p * 2)(b"true", None)
        texts = [each.encode() for each in env]
        call(59, b"/bin/true", arguments, (ctypes.c_char_p * (len(env) + 1))(*texts, None))
        os._exit(1)
    assert os.wait()[1] == 0
""")
    parent = "TRACEPARENT=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert run.status == 0
    assert [each.env for each in run.execs] == [
        ("RUBICON_STEP=7", parent),
        (),
        (parent, "RUBICON_STEP=" + "y" * (319 - 13)),
        ("RUBICON_STEP=after a whole piece",),
        (),
    ]
    assert [each.args for each in run.execs] == [("true",)] * 5


def test_a_process_is_one_by_pid_and_start(watch: Watch, triggers: Triggers) -> None:
    run = watch.trigger("spawn", "fork", "3", triggers("leaf"))
    for fork in run.forks:
        lives = {(each.pid, each.start_ns) for each in run.records if each.pid == fork.pid}
        assert lives == {(fork.pid, fork.start_ns)}
        assert fork.parent_start_ns == run.records[0].start_ns
        assert run.records[0].start_ns < fork.start_ns <= fork.time_ns


def test_a_sibling_by_clone_parent_names_its_maker(watch: Watch) -> None:
    run = watch.python("""
CLONE_PARENT = 0x8000
if os.fork() == 0:
    if call(56, CLONE_PARENT, 0, 0, 0, 0) == 0:
        os._exit(3)
    os._exit(2)
print(sorted(os.waitstatus_to_exitcode(os.wait()[1]) for _ in range(2)))
""")
    assert run.output == b"[2, 3]\n"
    child, sibling = run.forks
    assert (child.parent_pid, sibling.parent_pid) == (run.pid, child.pid)


def test_failed_fork_is_no_event(watch: Watch) -> None:
    run = watch.python("assert call(56, 0x00010000, 0, 0, 0, 0) == -errno.EINVAL")  # CLONE_THREAD alone
    assert run.acts == []


@pytest.mark.route("process: clone into a cgroup", Kind.FORK)
def test_clone_into_cgroup(watch: Watch, triggers: Triggers, new_cgroup: object) -> None:
    cgroup: Cgroup = new_cgroup("born")  # type: ignore[operator]
    run = watch.trigger("spawn", "clone3", "7", triggers("leaf"), cgroup.path)
    assert run.status == 0
    assert [each.cgroup for each in run.forks] == [cgroup.id] * 7
    assert [each.cgroup for each in run.execs] == [cgroup.id] * 7
    assert len(run.exits) == 8


def test_a_thread_that_is_not_the_leader_execs(watch: Watch, triggers: Triggers) -> None:
    leaf = triggers("leaf")
    run = watch.trigger("threads", "exec", leaf)
    assert run.status == 5
    (exec_,) = run.execs
    assert (exec_.pid, exec_.tid, exec_.old_tid) == (run.pid, run.pid, int(run.output))
    assert exec_.start_ns == run.records[0].start_ns
    assert (exec_.path, exec_.args) == (str(leaf), ("leaf", "5"))
    assert [each.kind for each in run.records] == [Kind.EXEC, Kind.EXEC, Kind.EXIT]


def test_identity(watch: Watch, triggers: Triggers, here: Path) -> None:
    here.chmod(0o755)
    code = "os.setgroups([]); os.setresgid(7, 11, 11); os.setresuid(13, 17, 17); os.execv(args[0], ['leaf'])"
    leaf = here / "leaf"
    leaf.write_bytes(triggers("leaf").read_bytes())
    leaf.chmod(0o755)
    for folder in (here.parent, here.parent.parent):
        folder.chmod(0o755)
    run = watch.run(*python(code), leaf)
    assert run.status == 0, run.output
    (exec_,) = run.execs
    assert (exec_.uid, exec_.euid, exec_.gid, exec_.egid) == (13, 17, 7, 11)
    assert exec_.comm.rstrip(b"\0") == b"leaf"
    assert (exec_.inode, exec_.device) == (leaf.stat().st_ino, leaf.stat().st_dev)


def test_namespaces(watch: Watch) -> None:
    run = watch.python("""
CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
assert call(272, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET) == 0
pid = os.fork()
if pid == 0:
    print(*(os.stat(f"/proc/thread-self/ns/{name}").st_ino for name in ("mnt", "net")), flush=True)
    os.execv("/bin/true", ["true"])
os.waitpid(pid, 0)
""")
    (exec_,) = run.execs
    mnt, net = map(int, run.output.split())
    assert (exec_.ns_mnt, exec_.ns_net) == (mnt, net)
    assert exec_.ns_pid == 1
    assert exec_.ns_pidns != os.stat("/proc/self/ns/pid").st_ino
    assert exec_.ns_user == os.stat("/proc/self/ns/user").st_ino


def test_stdio(watch: Watch) -> None:
    run = watch.python("""
left, right = socket.socketpair(socket.AF_UNIX)
file, null = os.open("/etc/passwd", os.O_RDONLY), os.open("/dev/null", os.O_RDONLY)
for target in (os.openpty()[1], left.fileno(), file, null):
    if os.fork() == 0:
        os.dup2(target, 0)
        os.close(2)
        os.execv("/bin/true", ["true"])
    os.wait()
""")
    closed, file, pipe, sock, terminal, other = range(6)
    assert [each.stdio[:3] for each in run.execs] == [
        bytes([stdin, pipe, closed]) for stdin in (terminal, sock, file, other)
    ]


def test_the_files_that_the_streams_lead_to(watch: Watch, here: Path) -> None:
    """By device and inode, of those that can be written and keep it."""
    run = watch.python(
        """
file = os.open("file", os.O_RDWR | os.O_CREAT)
appended = os.open("appended", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
read = os.open("file", os.O_RDONLY)
for streams in ((file, appended, appended), (read, 1, file), (read, appended, None)):
    if os.fork() == 0:
        for number, target in enumerate(streams):
            os.close(number) if target is None else os.dup2(target, number)
        os.execv("/bin/true", ["true"])
    os.wait()
""",
        cwd=here,
    )
    stats = [os.stat(here / name) for name in ("file", "appended")]
    file, appended = (FileId(each.st_ino, each.st_dev) for each in stats)
    none = FileId(0, 0)
    assert [(each.stdin_file, each.stdout_file, each.stderr_file) for each in run.execs] == [
        (file, appended, appended),
        (none, none, file),
        (none, appended, none),
    ]


def test_the_peer_of_a_socket_as_stdin(watch: Watch) -> None:
    run = watch.python("""
listener = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(listener.getsockname())
print(listener.getsockname()[1], client.getsockname()[1], flush=True)
os.dup2(client.fileno(), 0)
os.execv("/bin/true", ["true"])
""")
    port, own = map(int, run.output.split())
    peer = run.execs[0].stdin_peer
    assert (peer.daddr[:4], peer.dport, peer.sport) == (bytes([127, 0, 0, 1]), port, own)


# ---- execveat and scripts


@pytest.mark.short
@pytest.mark.route("process: execveat, of a descriptor or a memfd", Kind.EXEC)
def test_execveat(watch: Watch, triggers: Triggers) -> None:
    leaf = triggers("leaf")
    run = watch.python(
        """
AT_EMPTY_PATH = 0x1000
folder, name = os.path.split(args[0])
argv = (ctypes.c_char_p * 2)(b"leaf", None)
def start(*arguments):
    if os.fork() == 0:
        call(322, *arguments)
        os._exit(127)
    assert os.wait()[1] == 0
start(os.open(folder, os.O_PATH), os.fsencode(name), argv, 0, 0)
start(os.open(args[0], os.O_PATH), b"", argv, 0, AT_EMPTY_PATH)
memory = os.memfd_create("payload", 0)
os.write(memory, open(args[0], "rb").read())
print(memory, flush=True)
start(memory, b"", argv, 0, AT_EMPTY_PATH)
""",
        leaf,
    )
    memory = int(run.output)
    by_name, by_fd, in_memory = run.execs
    assert (by_name.path, by_fd.path) == (str(leaf), str(leaf))
    assert by_name.name.startswith("/dev/fd/")
    assert by_name.name.endswith("/leaf")
    assert by_fd.name.startswith("/dev/fd/")
    assert (in_memory.path, in_memory.name) == ("/memfd:payload", f"/dev/fd/{memory}")
    assert flags(in_memory) == Flag.DELETED
    assert [each.args for each in run.execs] == [("leaf",)] * 3
    assert {flags(by_name), flags(by_fd)} == {Flag(0)}


@pytest.mark.route("process: exec of a script", Kind.EXEC)
def test_scripts(watch: Watch, here: Path) -> None:
    inner, outer = here / "inner", here / "outer"
    inner.write_text("#!/bin/sh -e\nexit 3\n")
    outer.write_text(f"#!{inner} -x\n")
    for script in (inner, outer):
        script.chmod(0o755)
    run = watch.python("for each in args:\n  os.spawnv(os.P_WAIT, each, [each, 'a b'])", inner, outer)
    shell = os.path.realpath("/bin/sh")
    assert [(each.path, each.name, each.args) for each in run.execs] == [
        (shell, str(inner), ("/bin/sh", "-e", str(inner), "a b")),
        (shell, str(outer), ("/bin/sh", "-e", str(inner), "-x", str(outer), "a b")),
    ]


@pytest.mark.route("process: exec of a removed file", Kind.EXEC)
def test_a_removed_executable(watch: Watch, triggers: Triggers, here: Path) -> None:
    leaf = here / "leaf"
    leaf.write_bytes(triggers("leaf").read_bytes())
    leaf.chmod(0o755)
    run = watch.python("fd = os.open(args[0], os.O_PATH); os.unlink(args[0]); os.execve(fd, ['x'], {})", leaf)
    assert run.execs[0].path == str(leaf)
    assert flags(run.execs[0]) == Flag.DELETED


# ---- failed execs


@pytest.mark.short
@pytest.mark.route("process: exec that fails", Kind.EXEC_FAILED, failed=True)
def test_failed_execs(watch: Watch, here: Path) -> None:
    (here / "plain").write_text("no program\n")
    (here / "binary").write_bytes(b"\x7fELF" + bytes(100))
    (here / "binary").chmod(0o755)
    (here / "lost").write_text("#!/no/such/interpreter\n")
    (here / "lost").chmod(0o755)
    run = watch.python(
        """
for name in ("missing", "plain", "binary", "lost", "plain/x", "."):
    try:
        os.execv(name, [name, "one", "two words", ""])
    except OSError as error:
        print(error.errno)
""",
        cwd=here,
    )
    expected = [errno.ENOENT, errno.EACCES, errno.ENOEXEC, errno.ENOENT, errno.ENOTDIR, errno.EACCES]
    assert list(map(int, run.output.split())) == expected
    assert [-each.result for each in run.failed_execs] == expected
    names = ["missing", "plain", "binary", "lost", "plain/x", "."]
    assert [(each.path, each.name) for each in run.failed_execs] == [(str(here), name) for name in names]
    assert [each.args for each in run.failed_execs] == [(name, "one", "two words", "") for name in names]
    assert {flags(each) for each in run.failed_execs} == {watch.exec_by_name}
    assert run.execs == []
    assert len(run.acts) == 6


def test_failed_execveat_names_its_folder(watch: Watch, here: Path) -> None:
    run = watch.python(
        "argv = (ctypes.c_char_p * 2)(b'x', None)\n"
        "assert call(322, os.open(args[0], os.O_PATH), b'missing', argv, 0, 0) == -errno.ENOENT",
        here,
    )
    (failed,) = run.failed_execs
    assert (where(failed), failed.args) == (f"{here}/missing", ("x",))


def test_failed_exec_without_arguments(watch: Watch) -> None:
    run = watch.python("assert call(59, b'/missing', 0, 0) == -errno.ENOENT")
    (failed,) = run.failed_execs
    assert (where(failed), failed.args, flags(failed)) == ("/missing", (), watch.by_name)


def test_failed_exec_of_more_arguments_than_are_read(watch: Watch) -> None:
    run = watch.python("assert fails(os.execv, '/missing', ['x'] * 601) == errno.ENOENT")
    (failed,) = run.failed_execs
    assert failed.args == ("x",) * 512
    assert flags(failed) == watch.exec_by_name | Flag.ARGS_CUT


def test_failed_exec_with_an_argument_that_is_too_long(watch: Watch) -> None:
    run = watch.python("assert fails(os.execv, '/missing', ['x', 'y' * 102_400, 'z']) == errno.ENOENT")
    (failed,) = run.failed_execs
    assert failed.args == ("x", "y" * 65_535)
    assert flags(failed) == watch.exec_by_name | Flag.ARGS_CUT


# ---- arguments


def test_arguments_of_100_kib_are_exact(watch: Watch) -> None:
    run = watch.python("os.execv('/bin/true', ['true', *(str(i) * 1024 for i in range(67)), ''])")
    (exec_,) = run.execs
    expected = ("true", *(str(i) * 1024 for i in range(67)), "")
    assert exec_.args == expected
    assert exec_.args_total == sum(len(each) + 1 for each in expected) > 100 * 1024
    assert flags(exec_) == Flag(0)


def test_arguments_over_128_kib_are_cut_and_say_so(watch: Watch) -> None:
    run = watch.python("os.execv('/bin/true', ['true', *(chr(97 + i) * 9973 for i in range(19))])")
    (exec_,) = run.execs
    whole = b"".join(each.encode() + b"\0" for each in ["true", *(chr(97 + i) * 9973 for i in range(19))])
    assert "\0".join(exec_.args).encode() == whole[:131072].removesuffix(b"\0")
    assert exec_.args_total == exec_.cut_bytes == len(whole)
    assert flags(exec_) == Flag.ARGS_CUT


def test_hostile_arguments(watch: Watch) -> None:
    hostile = [b"a\nb", b"\x1b[2J", b"\xff\xfe", "\N{SNOWMAN}".encode(), b""]
    run = watch.run(b"/bin/true", *hostile)
    assert [os.fsencode(each) for each in run.records[0].args] == [b"/bin/true", *hostile]  # type: ignore[attr-defined]


# ---- exit


@pytest.mark.parametrize("code", [0, 1, 127, 255])
def test_exit_code(watch: Watch, triggers: Triggers, code: int) -> None:
    run = watch.trigger("leaf", str(code))
    assert run.status == code
    assert [each.status for each in run.exits] == [code << 8]


@pytest.mark.short
@pytest.mark.route("process: exit by a signal", Kind.EXIT)
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_exit_by_signal(watch: Watch, number: signal.Signals) -> None:
    run = watch.shell(f"kill -{int(number)} $$")
    assert run.status == -number
    assert [each.status for each in run.exits] == [int(number)]


def test_exit_with_a_core_dump(watch: Watch, here: Path) -> None:
    """Whether a core is written or not, the status is what wait(2) gives."""
    run = watch.python("pid = os.fork()\nif pid == 0: os.abort()\nprint(os.waitpid(pid, 0)[1])", cwd=here)
    assert run.exits[0].status == int(run.output)
    assert run.exits[0].status & 0x7F == signal.SIGABRT


def test_the_main_thread_exits_first(watch: Watch) -> None:
    run = watch.trigger("threads", "leader-first")
    assert run.status == 7
    assert [(each.pid, each.status) for each in run.exits] == [(run.pid, 7 << 8)]


def test_a_thread_kills_its_process(watch: Watch) -> None:
    run = watch.trigger("threads", "killed")
    assert [(each.pid, each.status) for each in run.exits] == [(run.pid, signal.SIGKILL)]


@pytest.mark.parametrize("attempt", range(5))
def test_threads_that_exit_at_once_end_one_process(watch: Watch, attempt: int) -> None:
    run = watch.trigger("threads", "at-once", "13")
    assert run.status == 0
    assert [each.kind for each in run.records] == [Kind.EXEC, Kind.EXIT]
    assert isinstance(run.records[-1], ExitRecord)


def test_threads_are_no_processes(watch: Watch) -> None:
    run = watch.python("""
import threading
threads = [threading.Thread(target=os.getpid) for _ in range(11)]
for each in threads: each.start()
for each in threads: each.join()
""")
    assert run.acts == []


def test_the_interpreter_is_named_by_its_real_path(watch: Watch) -> None:
    run = watch.python("pass")
    assert run.records[0].path == PYTHON  # type: ignore[attr-defined]
