"""Connections refused by policy, as a user sees it; and that nobody else is ever refused."""

from __future__ import annotations

import json
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.kernel.resolver import ASK, RESOLVER, Resolver

from .conftest import Spawn
from .driver import Rubicon, acts, until

CONNECT = (
    "import socket, sys\n"
    "for host in sys.argv[2:]:\n"
    "    try: socket.create_connection((host, int(sys.argv[1])), 5).close(); print('ok', flush=True)\n"
    "    except OSError as error: print(error.errno, flush=True)\n"
)
ASK_AND_CONNECT = (
    "import socket, sys\n"
    "for _ in sys.stdin:\n"
    "    try: socket.create_connection(('127.0.0.1', int(sys.argv[1])), 5).close(); print('ok', flush=True)\n"
    "    except OSError as error: print(error.errno, flush=True)\n"
)


@pytest.fixture
def port() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener.getsockname()[1]


def policy(rubicon: Rubicon, connect: str, response: str = "deny") -> Path:
    return rubicon.policy(f"network: {{on_violation: {response}, connect: {connect}}}\n")


def run(rubicon: Rubicon, rules: Path, *command: str, enforce: bool = True) -> tuple[int, str, str]:
    options = ["--enforce"] if enforce else []
    done = rubicon.do("run", *options, "--policy", rules, "--trace", rubicon.trace, "--", *command)
    return done.returncode, done.stdout, done.stderr


def test_refused_by_policy(rubicon: Rubicon, port: int) -> None:
    rules = policy(rubicon, f'["127.0.0.1:{port}"]')
    status, out, err = run(rubicon, rules, "python3", "-c", CONNECT, str(port), "127.0.0.1", "127.0.0.2")
    assert (status, out) == (0, "ok\n1\n")
    assert "ACTION   refused python3[" in err
    assert f"the way to 127.0.0.2 port {port} (Connection not allowed), before the call returned" in err
    (action,) = acts(rubicon.export())
    assert (action["event"]["action"], action["event"]["type"]) == ("deny", ["denied"])
    assert action["rubicon"]["action"]["in_kernel"] is True
    (alert,) = [each for each in rubicon.export() if each["event"]["kind"] == "alert"]
    assert alert["rubicon"]["answer"] == "deny"
    assert alert["rubicon"]["evidence"] == "kernel"
    assert (alert["error"]["code"], alert["destination"]["ip"]) == ("EPERM", "127.0.0.2")


def test_without_enforce_nothing_is_refused(rubicon: Rubicon, port: int) -> None:
    _, out, err = run(
        rubicon, policy(rubicon, "[]"), "python3", "-c", CONNECT, str(port), "127.0.0.1", enforce=False
    )
    assert out == "ok\n"
    assert "WOULD    would have refused python3[" in err


def test_a_name_is_allowed_where_it_leads(rubicon: Rubicon, port: int) -> None:
    """Asked by the engine before the command starts; by the machine's own hosts file here."""
    name = socket.gethostname()
    addresses = {each[4][0] for each in socket.getaddrinfo(name, None, socket.AF_INET)}
    if not any(str(each).startswith("127.") for each in addresses):
        pytest.skip("this machine's own name leads to no loopback address")
    address = next(str(each) for each in addresses if str(each).startswith("127."))
    with closing(socket.create_server(("0.0.0.0", 0))) as listener:
        there = str(listener.getsockname()[1])
        rules = policy(rubicon, f'["{name}:{there}"]')
        _, out, _ = run(rubicon, rules, "python3", "-c", CONNECT, there, address, "127.0.0.77")
    assert out == "ok\n1\n"


def test_killed_before_it_has_connected(rubicon: Rubicon, port: int) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(0.2)
        there = str(listener.getsockname()[1])
        rules = policy(rubicon, "[]", "kill")
        status, out, err = run(rubicon, rules, "python3", "-c", CONNECT, there, "127.0.0.1")
        with pytest.raises(TimeoutError):
            listener.accept()
    assert (status, out) == (128 + signal.SIGKILL, "")
    assert "killed python3[" in err
    assert "before the call returned" in err


def test_a_cgroup_and_its_neighbour(rubicon: Rubicon, spawn: Spawn, cgroup: Path, port: int) -> None:
    """Who is in it is refused while it is watched and not afterwards; who is not never is."""
    argv = [sys.executable, "-u", "-c", ASK_AND_CONNECT, str(port)]
    inside, outside = spawn(*argv, stdout=-1), spawn(*argv, stdout=-1)
    (cgroup / "cgroup.procs").write_text(str(inside.pid))

    def answers() -> tuple[bytes, bytes]:
        for each in (inside, outside):
            each.stdin.write(b"\n")  # type: ignore[union-attr]
            each.stdin.flush()  # type: ignore[union-attr]
        return inside.stdout.readline(), outside.stdout.readline()  # type: ignore[union-attr]

    rules = policy(rubicon, "[]")
    options = ("--enforce", "--policy", rules, "--no-tui")
    assert answers() == (b"ok\n", b"ok\n")
    started = rubicon.start("attach", f"cgroup:{cgroup}", *options, "--trace", rubicon.trace)
    started.says("watching")
    assert answers() == (b"1\n", b"ok\n")
    started.process.send_signal(signal.SIGINT)
    assert started.end() == 0
    assert answers() == (b"ok\n", b"ok\n")

    killed = rubicon.start("attach", f"cgroup:{cgroup}", *options)
    killed.says("watching")
    assert answers() == (b"1\n", b"ok\n")
    killed.process.kill()
    killed.end()
    until(lambda: answers() == (b"ok\n", b"ok\n"), "the kernel to take the programs away")


def test_the_first_connect_to_a_domain_that_was_just_asked_for(rubicon: Rubicon, port: int) -> None:
    """Never too early, whatever the engine is doing then; and an address that nobody has told is refused."""
    code = """
for i in range(1, 18):
    ask(f"a{i}|example|org", number=i)
    print(tried(f"127.9.0.{i}", int(sys.argv[1])))
print(tried("127.9.0.99", int(sys.argv[1])))
"""
    with (
        closing(Resolver()),
        closing(socket.create_server(("0.0.0.0", 0))) as listener,
    ):
        there = str(listener.getsockname()[1])
        rules = policy(rubicon, f'["{RESOLVER}:53", "*.example.org:{there}"]')
        status, out, err = run(rubicon, rules, "python3", "-c", f"import errno, sys\n{ASK}{code}", there)
    assert (status, out.split()) == (0, ["ok"] * 17 + ["EPERM"]), err
    assert err.count("Connection not allowed:") == 1


def test_two_sessions_each_refuse_their_own(rubicon: Rubicon, spawn: Spawn, port: int) -> None:
    """The lists of two sessions are not added up, and the stricter one does not reach over."""
    argv = [sys.executable, "-u", "-c", ASK_AND_CONNECT, str(port)]
    first, second = spawn(*argv, stdout=-1), spawn(*argv, stdout=-1)
    strict, loose = rubicon.folder / "strict.yaml", rubicon.folder / "loose.yaml"
    strict.write_text("network: {on_violation: deny, connect: []}\n")
    loose.write_text("network: {on_violation: deny, connect: [localhost]}\n")
    for process, rules in ((first, strict), (second, loose)):
        started = rubicon.start("attach", f"pid:{process.pid}", "--enforce", "--policy", rules, "--no-tui")
        started.says("watching")
    for process, expected in ((first, b"1\n"), (second, b"ok\n")):
        process.stdin.write(b"\n")  # type: ignore[union-attr]
        process.stdin.flush()  # type: ignore[union-attr]
        assert process.stdout.readline() == expected  # type: ignore[union-attr]


def test_programs_and_files_as_far_as_the_kernel_refuses_them(rubicon: Rubicon) -> None:
    """Where it asks no BPF programs, that is said once at the start, and each violation says it, too."""
    doctor = json.loads(rubicon.do("doctor", "--json").stdout)
    can, why_not = doctor["refusals"]["yes"], doctor["refusals"]["why"]
    rules, made = rubicon.folder / "policy.yaml", rubicon.folder / "made"
    rules.write_text("on_violation: deny\nfiles: {write: []}\nprocess: {exec: [sh, dash]}\n")
    line = f"(: >{made}) 2>/dev/null; echo $?; /usr/bin/true; echo $?"
    _, out, err = run(rubicon, rules, "/bin/sh", "-c", line)
    told = [each["rubicon"]["action"] for each in acts(rubicon.export())]
    assert len(told) == 2
    assert made.exists() is not can
    if can:
        assert out == "2\n126\n"
        assert "refused sh[" in err
        assert {(each["result"], each["in_kernel"]) for each in told} == {("done", True)}
        return
    assert out == "0\n0\n"
    notice = f"process.exec and files.write and files.mounts: only reported, not refused: {why_not}"
    assert err.count(notice) == 1
    assert err.count(f"was not refused: {why_not}") == 2
    assert {each["result"] for each in told} == {"failed"}
