"""guard.bpf.c: connections that the table does not allow are refused, to members and to nobody else."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from tests.kernel.conftest import Triggers, cgroup2_mount, new_source
from tests.kernel.watching import PYTHON, Watch, flags, list_paths
from tracer.actions.deny import Allowed, Ports
from tracer.capture.guard import PROGRAMS, Guard, GuardMode
from tracer.errors import KernelError
from tracer.records import Flag, Kind

Guarded = Callable[..., Watch]

TRY = """
import errno, json, socket

def tried(family, kind, address, how, protocol=0):
    try:
        with socket.socket(family, kind, protocol) as one:
            if how == "connect":
                one.connect(tuple(address))
            elif how == "sendto":
                one.sendto(b"x", tuple(address))
            elif how == "fastopen":
                one.sendto(b"x", socket.MSG_FASTOPEN, tuple(address))
    except OSError as error:
        return errno.errorcode[error.errno]
    return "ok"

print(json.dumps([tried(*each) for each in json.loads(sys.argv[1])]))
"""
TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM
V4, V6 = socket.AF_INET, socket.AF_INET6


@pytest.fixture
def guarded(guarding: Watch) -> Guarded:
    """The guard at work, with a table."""
    if cgroup2_mount() is None:
        pytest.skip("this machine has no cgroup v2 hierarchy")

    def opened(*networks: tuple[str, Ports], mode: GuardMode = GuardMode.DENY) -> Watch:
        for key, value in Allowed((ip_network(text), ports) for text, ports in networks).entries():
            guarding.guard.allow(key, value)
        guarding.guard.open(mode)
        return guarding

    return opened


@pytest.fixture
def port() -> Iterator[int]:
    """Of a TCP listener for both families."""
    with closing(socket.create_server(("::", 0), family=V6, dualstack_ipv6=True)) as listener:
        yield listener.getsockname()[1]


def tries(watch: Watch, *each: tuple[Any, ...]) -> list[str]:
    run = watch.python(TRY, json.dumps(each))
    result: list[str] = json.loads(run.output)
    return result


@pytest.mark.short
def test_refused_and_allowed(guarded: Guarded, port: int) -> None:
    """By address and by port, in both families and ways to write an address."""
    watch = guarded(("127.0.0.0/8", ((port, port),)), ("::1/128", ((port, port),)))
    answers = tries(
        watch,
        (V4, TCP, ("127.0.0.1", port), "connect"),
        (V4, TCP, ("127.0.0.1", port - 1), "connect"),
        (V4, TCP, ("10.0.0.1", port), "connect"),
        (V6, TCP, ("::1", port), "connect"),
        (V6, TCP, ("::2", port), "connect"),
        (V6, TCP, ("::ffff:127.0.0.1", port), "connect"),
        (V6, TCP, ("::ffff:10.0.0.1", port), "connect"),
        (V4, UDP, ("127.0.0.1", port), "connect"),
        (V4, UDP, ("127.0.0.1", port - 1), "connect"),
        (V4, UDP, ("127.0.0.1", port - 1), "sendto"),
        (V4, UDP, ("127.0.0.1", port), "sendto"),
        (V6, UDP, ("::2", port), "sendto"),
        (V4, TCP, ("127.0.0.1", port - 1), "fastopen"),
    )
    assert "".join("-" if each == "EPERM" else each for each in answers) == "ok--ok-ok-ok--ok--"


def test_the_records_say_it_with_the_kernels_own_words(guarded: Guarded, port: int) -> None:
    watch = guarded(("127.0.0.0/8", ((port, port),)))
    run = watch.python(
        TRY,
        json.dumps(
            [
                (V4, TCP, ("127.0.0.1", port), "connect"),
                (V4, TCP, ("127.0.0.1", 7), "connect"),
                (V6, TCP, ("::1", port), "connect"),
                (V4, UDP, ("10.0.0.7", 53), "sendto"),
                (V4, TCP, ("10.0.0.8", 7), "fastopen"),
            ]
        ),
    )
    first, *refused = run.connects
    assert (first.result, Flag.REFUSED in flags(first)) == (0, False)
    assert [(each.result, Flag.REFUSED in flags(each)) for each in refused] == [(-1, True), (-1, True)]
    assert not any(Flag.USER_EVIDENCE in flags(each) for each in refused)
    assert [each.peer.dport for each in refused] == [7, port]
    assert refused[0].peer.daddr[:4] == bytes([127, 0, 0, 1])
    sent = run.said(Kind.SEND)
    assert [(each.result, Flag.REFUSED in flags(each)) for each in sent] == [(-1, True), (-1, True)]
    assert [each.peer.daddr[:4] for each in sent] == [bytes([10, 0, 0, 7]), bytes([10, 0, 0, 8])]


def test_sockets_that_cannot_be_judged_are_not_made(guarded: Guarded) -> None:
    watch = guarded(("0.0.0.0/0", ()))
    answers = tries(
        watch,
        (V4, socket.SOCK_RAW, (), "make", socket.IPPROTO_ICMP),
        (V6, socket.SOCK_RAW, (), "make", socket.IPPROTO_RAW),
        (V4, TCP, (), "make", socket.IPPROTO_TCP),
        (V4, UDP, (), "make"),
        (socket.AF_UNIX, TCP, (), "make"),
    )
    assert answers == ["EPERM", "EPERM", "ok", "ok", "ok"]


def test_port_0_of_a_datagram_socket_asks_for_its_own_address(guarded: Guarded) -> None:
    watch = guarded(("127.0.0.0/8", ((443, 443),)))
    assert tries(watch, (V4, UDP, ("127.0.0.1", 0), "connect"), (V4, UDP, ("10.0.0.1", 0), "connect")) == [
        "ok",
        "EPERM",
    ]


def test_nobody_else_is_refused(guarded: Guarded, port: int) -> None:
    """The engine, the test, whoever is not a member."""
    guarded()
    with socket.create_connection(("127.0.0.1", port)), socket.socket(V4, UDP) as datagrams:
        assert datagrams.sendto(b"x", ("127.0.0.1", port)) == 1


def test_a_socket_from_elsewhere_is_refused_all_the_same(guarded: Guarded, port: int) -> None:
    with socket.socket(V4, TCP) as made_outside:
        run = guarded().python(
            "import socket\n"
            "try:\n    socket.socket(fileno=int(sys.argv[1])).connect(('127.0.0.1', int(sys.argv[2])))\n"
            "except PermissionError: print('refused')",
            str(made_outside.fileno()),
            str(port),
            pass_fds=[made_outside.fileno()],
        )
    assert run.output == b"refused\n"


@pytest.mark.parametrize("modes", ["-", "s", "a", "d"])
def test_through_io_uring(guarded: Guarded, port: int, modes: str) -> None:
    run = guarded().trigger("uring", modes, "tcp", str(port))
    if run.status == 77:
        pytest.skip("this kernel has no io_uring, or not that of it")
    assert run.output.split() == [b"-1"]
    (refused,) = run.connects
    assert (refused.result, Flag.REFUSED in flags(refused)) == (-1, True)


def test_killed_at_the_act(guarded: Guarded, port: int) -> None:
    """Before it has connected, and with nothing run after the call."""
    watch = guarded(mode=GuardMode.KILL)
    run = watch.run(
        "/usr/bin/python3",
        "-ISc",
        "import socket, sys\ntry: socket.socket().connect(('127.0.0.1', int(sys.argv[1])))\n"
        "except OSError: pass\nprint('lives', flush=True)",
        str(port),
    )
    assert (run.status, run.output) == (-signal.SIGKILL, b"")
    (connect,) = run.connects
    assert Flag.KILLED in flags(connect)


def test_nothing_stays_attached(guarded: Guarded, port: int, triggers: Triggers) -> None:
    watch = guarded()
    assert tries(watch, (V4, TCP, ("127.0.0.1", port), "connect")) == ["EPERM"]
    watch.source.detach()
    plain = new_source()
    try:
        assert tries(Watch(plain, triggers), (V4, TCP, ("127.0.0.1", port), "connect")) == ["ok"]
    finally:
        plain.close()


def test_it_is_not_loaded_when_nobody_wants_it() -> None:
    plain = new_source()
    plain.close()
    with_guard = new_source(guarding=True)
    with_guard.close()
    assert plain.guard is None
    programs, more = (each.engine["bpf"]["programs"] for each in (plain, with_guard))
    assert len(programs) + len(PROGRAMS) + len(with_guard.probes.hooks) == len(more)


def test_no_hierarchy_to_attach_it_to() -> None:
    source = new_source(guarding=True)
    try:
        assert isinstance(source.guard, Guard)
        with pytest.raises(KernelError, match="cgroup v2"):
            source.guard.open(GuardMode.DENY)
    finally:
        source.close()


# ---- programs


@pytest.fixture
def killing(guarding: Watch) -> Callable[..., Watch]:
    """Programs but those of some patterns are killed."""

    def opened(*patterns: str) -> Watch:
        list_paths(guarding.guard, programs=patterns)
        guarding.guard.kill(programs=True, writes=False)
        return guarding

    return opened


def test_a_program_that_nothing_allows_is_killed_before_it_runs(
    killing: Callable[..., Watch], here: Path
) -> None:
    watch = killing("sh", "dash", "gate")
    run = watch.shell("/usr/bin/touch $1; echo $?", here / "made")
    assert run.output.endswith(b"137\n")
    assert not (here / "made").exists()
    (killed,) = run.execs
    assert (killed.path, Flag.KILLED in flags(killed)) == ("/usr/bin/touch", True)
    assert run.exits[0].status == signal.SIGKILL


def test_what_may_be_allowed_runs(killing: Callable[..., Watch], here: Path) -> None:
    """By path, by directory, by name, by the beginning of a name; and nobody outside is asked."""
    named = here / "a b" / "name"
    named.parent.mkdir()
    shutil.copy("/usr/bin/true", named)
    shutil.copy("/usr/bin/true", here / "prefixed-7")
    watch = killing("sh", "dash", "gate", "/usr/bin/true", f"{here}/a b/**", "prefixed*")
    line = '/usr/bin/true && $1/prefixed-7 && "$1/a b/name" && echo all'
    run = watch.shell(line, here)
    assert run.output == b"all\n"
    assert not any(Flag.KILLED in flags(each) for each in run.execs)
    assert subprocess.run(["/usr/bin/false"], check=False).returncode == 1


def test_what_has_no_directory_is_judged_as_the_rules_do(killing: Callable[..., Watch], here: Path) -> None:
    """A removed program by its name with " (deleted)"; a memfd likewise."""
    watch = killing("sh", "dash", "gate", PYTHON, "/**/known (deleted)", "memfd:x!known (deleted)")
    code = (
        "import shutil\n"
        "def run(file):\n"
        "    pid = os.fork()\n"
        "    if not pid: os.execve(file, ['true'], {})\n"
        "    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))\n"
        "for name in ('known', 'other'):\n"
        "    shutil.copy('/usr/bin/true', name); file = os.open(name, os.O_RDONLY)\n"
        "    os.unlink(name); run(file)\n"
        "for name in ('x/known', 'x/other'):\n"
        "    file = os.memfd_create(name, 0); os.write(file, open('/usr/bin/true', 'rb').read()); run(file)\n"
    )
    run = watch.python(code, cwd=here)
    assert run.output.split() == [b"0", b"-9", b"0", b"-9"]


def test_no_path_is_too_long(killing: Callable[..., Watch], here: Path) -> None:
    deep = here
    for _ in range(12):
        deep /= "d" * 250
    deep.mkdir(parents=True)
    for name in ("program", "other"):
        shutil.copy("/usr/bin/true", deep / name)
    watch = killing("sh", "dash", "gate", f"{deep}/program")
    run = watch.shell("$1/program; echo $?; $1/other; echo $?", deep)
    assert run.output.splitlines()[::2] == [b"0", b"137"]
