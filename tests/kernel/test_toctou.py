"""Another thread rewrites a call's memory while it goes on: what is recorded is what the kernel did, or says
that it was read from the caller.

The trigger tells what really happened from the kernel's own mouth: the inode it got, the peer of the socket,
the executable and the argument of the program that then ran.
"""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path

import pytest

from tests.kernel.conftest import ONE_SOURCE, Triggers
from tests.kernel.watching import Watch
from tracer.records import Flag, Kind

# Few for an emulated processor. Execs are of one of five rounds.
TIMES, EXECS = (500, 40) if os.environ.get(ONE_SOURCE) else (10_000, 2_000)


def free_ports(kind: socket.SocketKind) -> list[str]:
    with socket.socket(type=kind) as one, socket.socket(type=kind) as other:
        for each in (one, other):
            each.bind(("127.0.0.1", 0))
        return [str(each.getsockname()[1]) for each in (one, other)]


@pytest.mark.route("rewritten by a thread during the call: open", Kind.OPEN)
def test_the_path_of_an_open(watch: Watch, here: Path) -> None:
    for name in "AB":
        (here / name).touch()
    run = watch.trigger("race", "open", here / "A", str(TIMES))
    assert run.status == 0, run.output
    really = run.output.decode()
    assert (len(really), set(really)) == (TIMES, {"A", "B"})
    assert "".join(each.path[-1] for each in run.opens) == really
    assert "".join(each.path[-1] for each in run.closes) == really
    assert not any(each.flags & Flag.USER_EVIDENCE for each in run.opens)


@pytest.mark.route("rewritten by a thread during the call: connect", Kind.CONNECT)
@pytest.mark.parametrize("kind", ["udp", "tcp"])
def test_the_address_of_a_connect(watch: Watch, kind: str) -> None:
    ports = free_ports(socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    run = watch.trigger("race", kind, *ports, str(TIMES))
    assert run.status == 0, run.output
    really = run.output.decode().split()
    assert len(really) == TIMES
    assert len(set(really)) > 1
    assert [str(each.peer.dport) for each in run.connects] == really
    assert not any(each.flags & Flag.USER_EVIDENCE for each in run.connects)


@pytest.mark.route("rewritten by a thread during the call: exec", Kind.EXEC)
@pytest.mark.parametrize("round_", range(5))
def test_the_path_and_the_arguments_of_an_exec(
    watch: Watch, triggers: Triggers, here: Path, round_: int
) -> None:
    """In rounds, as the records of all are more than the ring holds."""
    for name in "AB":
        shutil.copy(triggers("race"), here / name)
    run = watch.trigger("race", "exec", here / "A", str(EXECS))
    assert run.status == 0, run.output
    really = run.output.decode()
    assert len(really) == 2 * EXECS
    assert len({really[i : i + 2] for i in range(0, len(really), 2)}) > 1  # the thread had its turns
    assert "".join(each.path[-1] + each.args[2] for each in run.execs) == really
    assert "".join(each.name[-1] for each in run.execs) == really[::2]
    assert not any(each.flags & Flag.USER_EVIDENCE for each in run.execs)


@pytest.mark.short
@pytest.mark.route("rewritten by a thread during the call: unlink", Kind.UNLINK)
def test_the_name_of_an_act(watch: Watch, here: Path) -> None:
    """Tier A has the name that the kernel acted on. Without hooks inside the call (B) it is not to be had."""
    run = watch.trigger("race", "unlink", here / "A", str(TIMES))
    assert run.status == 0, run.output
    removed = run.paths(Kind.UNLINK)
    assert len(removed) == TIMES
    assert {Flag(each.flags) for each in removed} == {watch.by_name}
    if watch.source.tier == "A":
        really = run.output.decode()
        assert set(really) == {"A", "B"}
        assert "".join(each.path[-1] for each in removed) == really
